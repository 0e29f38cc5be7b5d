import { z } from 'zod';
import { errorTable, isErrorCode, PerennialError } from '../../../../contracts/errors.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import {
  describeProblem,
  invalidRequest,
  parseRequest,
  problemOf,
  toPerennialError,
} from '../../../../api/http/problems.js';

const codes = Object.keys(errorTable).filter(isErrorCode);

function thrownBy(call: () => unknown): PerennialError {
  try {
    call();
  } catch (error) {
    return toPerennialError(error);
  }
  throw new Error('Nothing was thrown.');
}

describe('problemOf', () => {
  it.each(codes)('makes a valid problem of %s', (code) => {
    const problem = problemSchema
      .strict()
      .parse(problemOf(new PerennialError(code, 'what happened'), '/predict', 'id-1'));
    expect(problem).toMatchObject({
      type: `/problems/${code}`,
      title: errorTable[code].title,
      status: errorTable[code].status,
      instance: '/predict',
      code,
      trace_id: 'id-1',
    });
  });

  it('hides the details of internal errors', () => {
    const problem = problemOf(toPerennialError(new Error('password is hunter2')), '/predict', 'id-1');
    expect(problem.code).toBe('internal');
    expect(JSON.stringify(problem)).not.toContain('hunter2');
    expect(problem.detail).toContain('id-1');
  });

  it('sets Retry-After for a missing model', () => {
    expect(problemOf(new PerennialError('no_model', ''), '/', 'x').retry_after_seconds).toBeGreaterThan(0);
  });

  it('sets Retry-After in whole seconds if the error has a delay', () => {
    const refused = new PerennialError('overloaded', '', { details: { retryAfterSeconds: 2.2 } });
    expect(problemOf(refused, '/', 'x').retry_after_seconds).toBe(3);
  });

  it('lists every fault of a request with a JSON pointer', () => {
    const schema = z.object({ source: z.object({ 'a/b~c': z.number() }), epochs: z.number() });
    const wrong = (): unknown => parseRequest(schema, { source: { 'a/b~c': 'x' } }, '#');
    const problem = problemOf(thrownBy(wrong), '/', 'x');
    expect(problem.status).toBe(400);
    expect(problem.errors?.map(({ pointer }) => pointer)).toEqual(['#/source/a~1b~0c', '#/epochs']);
  });

  it('lists the first faults of very many, and counts the others', () => {
    const faults = Array.from({ length: 5_000 }, (_, index) => ({ pointer: `#/${index}`, detail: 'wrong' }));
    const problem = problemOf(invalidRequest(faults), '/', 'x');
    expect(problem.errors).toHaveLength(100);
    expect(problem.detail).toBe('#/0: wrong (and 4999 more)');
  });
});

describe('toPerennialError', () => {
  it('treats a malformed URL as a client error', () => {
    expect(toPerennialError(new URIError('malformed')).code).toBe('bad_request');
  });
});

describe('describeProblem', () => {
  it.each(codes)('explains %s', (code) => {
    expect(describeProblem(code)).toContain(errorTable[code].title);
    expect(describeProblem(code)).toContain(String(errorTable[code].status));
  });
});

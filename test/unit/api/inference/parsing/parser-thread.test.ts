import { setImmediate as nextRound } from 'node:timers/promises';
import { errorCodeOf, PerennialError } from '../../../../../contracts/errors.js';
import { inputSize } from '../../../../../contracts/training/training.js';
import { parseJsonAside, ParserThread } from '../../../../../api/inference/parsing/parser-thread.js';
import { readInvocation } from '../../../../../api/inference/invocations/read-invocation.js';
import { readQuestion } from '../../../../../api/inference/v2/question.js';

/** A body with its own memory, which moves into the thread. */
function bodyOf(text: string): Buffer<ArrayBuffer> {
  const sent = Buffer.from(text);
  const body = Buffer.from(new ArrayBuffer(sent.length));
  body.set(sent);
  return body;
}

function nested(images: number): string {
  const row = `[${Array.from({ length: inputSize }, (_, x) => `[${x},0,255]`).join()}]`;
  const image = `[${Array.from({ length: inputSize }, () => row).join()}]`;
  return `[${Array.from({ length: images }, () => image).join()}]`;
}

function v2(images: number): string {
  const shape = `[${images},${inputSize},${inputSize},3]`;
  return `{"id":"one","inputs":[{"name":"image","datatype":"UINT8","shape":${shape},"data":${nested(images)}}]}`;
}

describe('the parser thread', () => {
  const parser = new ParserThread();

  it('reads the same as the event loop would', async () => {
    const [scored, asked] = [`{"params":null,"instances":${nested(2)}}`, v2(2)];
    const [invocation, question] = [parser.invocation(bodyOf(scored)), parser.question(bodyOf(asked))];
    expect(await invocation).toEqual(await readInvocation(bodyOf(scored)));
    expect(await question).toEqual(readQuestion(bodyOf(asked), undefined));
    const files = `{"inputs":["${Buffer.from('a file').toString('base64')}"]}`;
    const [file] = (await parser.invocation(bodyOf(files))).images;
    expect(Buffer.from(file ?? []).toString()).toBe('a file');
    expect(await parser.json(bodyOf('{"a":[1]}'), { depth: 2, containers: 2, values: 1 })).toEqual({ a: [1] });
  });

  it('throws the same errors, with their places', async () => {
    const error: unknown = await parser.invocation(bodyOf('{"instances":[[1]]}')).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PerennialError);
    expect(error).toMatchObject({ code: 'invalid_tensor', details: { errors: [{ pointer: '#/instances/0' }] } });
    expect(await parser.json(bodyOf('[[]]'), { depth: 1, containers: 9, values: 9 }).catch(errorCodeOf)).toBe(
      'bad_request',
    );
    expect(await parser.question(bodyOf('{"inputs"')).catch(errorCodeOf)).toBe('bad_request');
  });

  it('leaves the event loop free meanwhile', async () => {
    const seen = { isOver: false, rounds: 0 };
    const read = parser.question(bodyOf(v2(10))).finally(() => (seen.isOver = true));
    while (!seen.isOver) {
      seen.rounds += 1;
      await nextRound();
    }
    expect((await read).input).toMatchObject({ kind: 'pixels', count: 10 });
    expect(seen.rounds).toBeGreaterThan(20);
  });

  it('takes the memory of the body with it', async () => {
    const body = bodyOf('{"inputs":[[1]]}');
    const read = parser.invocation(body);
    expect(body).toHaveLength(0);
    await expect(read).rejects.toThrow();
  });

  it('refuses more bodies than may wait', async () => {
    const runs = Array.from({ length: 12 }, () => parser.question(bodyOf(v2(1))).then(() => 'read', errorCodeOf));
    const ends = await Promise.all(runs);
    expect(ends.filter((end) => end === 'read')).toHaveLength(8);
    expect(ends.filter((end) => end === 'overloaded')).toHaveLength(4);
  });

  it('is replaced when a body takes all of its memory', async () => {
    const small = new ParserThread(24);
    const ends = [small.question(bodyOf(v2(12))), small.invocation(bodyOf('{"inputs":["QQ=="]}'))];
    expect(await Promise.all(ends.map((end) => end.then(() => 'read', errorCodeOf)))).toEqual([
      'too_large',
      'overloaded',
    ]);
    expect((await small.invocation(bodyOf('{"inputs":["QQ=="]}'))).images).toHaveLength(1);
  });
});

describe('JSON of any length', () => {
  it('is moved into the thread if it is long, and parsed at once if not', async () => {
    const [short, long] = ['short', 'x'.repeat(1_100_000)].map((image) => bodyOf(JSON.stringify({ image })));
    const bounds = { depth: 2, containers: 2, values: 2 };
    expect(await parseJsonAside(short ?? bodyOf(''), bounds)).toEqual({ image: 'short' });
    expect(await parseJsonAside(long ?? bodyOf(''), bounds)).toEqual({ image: 'x'.repeat(1_100_000) });
    expect([short?.length, long?.length]).toEqual([17, 0]);
  });
});

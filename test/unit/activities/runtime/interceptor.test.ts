import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { toTemporalFailure } from '../../../../activities/runtime/interceptor.js';
import { PerennialError } from '../../../../contracts/errors.js';

describe('toTemporalFailure', () => {
  it('marks errors that a retry cannot fix', () => {
    expect(toTemporalFailure(new PerennialError('dataset_too_small', 'nine'), 1)).toMatchObject({
      type: 'dataset_too_small',
      nonRetryable: true,
      message: 'nine',
    });
  });

  it('retries an unavailable service without limit', () => {
    expect(toTemporalFailure(new PerennialError('database_unavailable', 'away'), 500)).toMatchObject({
      nonRetryable: false,
    });
  });

  it('gives a fault of our own code fifteen attempts', () => {
    expect(toTemporalFailure(new TypeError('x is undefined'), 14)).toMatchObject({
      type: 'internal',
      nonRetryable: false,
    });
    expect(toTemporalFailure(new TypeError('x is undefined'), 15)).toMatchObject({
      type: 'internal',
      nonRetryable: true,
    });
  });

  it('gives a trainer that dies each time fifteen attempts', () => {
    const died = new PerennialError('trainer_died', 'It was killed.');
    expect(toTemporalFailure(died, 14)).toMatchObject({ type: 'trainer_died', nonRetryable: false });
    expect(toTemporalFailure(died, 15)).toMatchObject({ type: 'trainer_died', nonRetryable: true });
  });

  it("passes Temporal's own failures unchanged", () => {
    const cancelled = new CancelledFailure('stop');
    const failure = ApplicationFailure.create({ message: 'x' });
    expect(toTemporalFailure(cancelled, 1)).toBe(cancelled);
    expect(toTemporalFailure(failure, 1)).toBe(failure);
  });
});

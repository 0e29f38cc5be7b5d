import { errorCodeOf } from '../../contracts/errors.js';
import { withTimeLimit } from '../../platform/time-limit.js';
import type { Logger } from '../../platform/logging.js';
import type { AttemptEntry, AttemptStore } from '../../stores/pipelines/attempts.js';

/** Records the attempts of activities in the database, without delaying or failing them. */
export interface AttemptRecorder {
  /**
   * Records the start of an attempt in the background. Returns a function that records its end: it resolves when the
   * attempt is written, or after two seconds, and never rejects.
   */
  begin(attempt: AttemptEntry): (ended: AttemptEntry) => Promise<void>;
}

const longestWaitMs = 2_000;
/** Attempts that end sooner are written only once, at their end. */
const shortMs = 50;
/** Attempts that wait in memory while Postgres is unavailable; more are only logged. */
const maxDeferred = 500;

type Batch = Map<string, AttemptEntry>;

/**
 * Writes attempts in batches, one batch at a time. Attempts that start or end during a write go into the next batch, so
 * that many concurrent activities need few statements and one connection.
 */
export function createAttemptRecorder(attempts: Pick<AttemptStore, 'write'>, logger: Logger): AttemptRecorder {
  let filling: { batch: Batch; written: Promise<void> } | null = null;
  let lastWrite = Promise.resolve();
  let deferred: Batch = new Map();

  const write = async (batch: Batch): Promise<void> => {
    filling = null;
    try {
      await attempts.write([...batch.values()]);
    } catch (error) {
      const isUnavailable = errorCodeOf(error) === 'database_unavailable';
      if (isUnavailable) deferred = new Map([...deferred, ...batch].slice(-maxDeferred));
      logger.warn({ error, attempts: batch.size }, `attempts are not recorded${isUnavailable ? ' yet' : ''}`);
    }
  };
  const add = (attempt: AttemptEntry): Promise<void> => {
    if (filling === null) {
      const batch: Batch = new Map(deferred);
      deferred = new Map();
      lastWrite = lastWrite.then(() => write(batch));
      filling = { batch, written: lastWrite };
    }
    filling.batch.set(`${attempt.runId}/${attempt.activityId}/${attempt.attempt}`, attempt);
    return filling.written;
  };
  return {
    begin(attempt) {
      const showRunning = setTimeout(() => void add(attempt), shortMs);
      return (ended) => {
        clearTimeout(showRunning);
        return withTimeLimit(longestWaitMs, add(ended)).catch(() => undefined);
      };
    },
  };
}

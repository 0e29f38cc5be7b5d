import { errorCodeOf } from '../../contracts/errors.js';
import { withTimeLimit } from '../../platform/time-limit.js';
import type { Logger } from '../../platform/logging.js';
import type { AttemptEntry, AttemptStore } from '../../stores/pipelines/attempts.js';

/** Tells our record of attempts at activities, without ever being in the way of one. */
export interface AttemptRecorder {
  /**
   * Tells that an attempt has begun, for which nobody waits, and gives the way to tell how it ended: that resolves when
   * it is written, or after two seconds, and never rejects.
   */
  begin(attempt: AttemptEntry): (ended: AttemptEntry) => Promise<void>;
}

const longestWaitMs = 2_000;
/** What ends sooner is written once, when it has ended. */
const shortMs = 50;
/** Attempts that are kept to be written later while Postgres is away; beyond that they are only in the log. */
const maxKept = 500;

type Batch = Map<string, AttemptEntry>;

/**
 * Writes attempts in batches, one at a time: what begins or ends while one is on its way goes with the next, so that
 * many activities at once cost few statements and one connection.
 */
export function createAttemptRecorder(attempts: Pick<AttemptStore, 'write'>, logger: Logger): AttemptRecorder {
  let filling: { batch: Batch; written: Promise<void> } | null = null;
  let lastWrite = Promise.resolve();
  let kept: Batch = new Map();

  const write = async (batch: Batch): Promise<void> => {
    filling = null;
    try {
      await attempts.write([...batch.values()]);
    } catch (error) {
      const isAway = errorCodeOf(error) === 'database_unavailable';
      if (isAway) kept = new Map([...kept, ...batch].slice(-maxKept));
      logger.warn({ error, attempts: batch.size }, `attempts are not recorded${isAway ? ' yet' : ''}`);
    }
  };
  const add = (attempt: AttemptEntry): Promise<void> => {
    if (filling === null) {
      const batch: Batch = new Map(kept);
      kept = new Map();
      lastWrite = lastWrite.then(() => write(batch));
      filling = { batch, written: lastWrite };
    }
    filling.batch.set(`${attempt.runId}/${attempt.activityId}/${attempt.attempt}`, attempt);
    return filling.written;
  };
  return {
    begin(attempt) {
      const shown = setTimeout(() => void add(attempt), shortMs);
      return (ended) => {
        clearTimeout(shown);
        return withTimeLimit(longestWaitMs, add(ended)).catch(() => undefined);
      };
    },
  };
}

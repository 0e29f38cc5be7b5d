import { createAttemptRecorder } from '../../../../activities/runtime/attempt-recorder.js';
import { PerennialError } from '../../../../contracts/errors.js';
import { createLogger } from '../../../../platform/logging.js';
import type { AttemptEntry } from '../../../../stores/pipelines/attempts.js';

const logger = createLogger('test', 'silent');
const at = '2026-01-01T00:00:00.000Z';

function entry(activityId: string, status: AttemptEntry['status'] = 'running'): AttemptEntry {
  return {
    workflowId: 'w',
    runId: 'r',
    activityId,
    attempt: 1,
    activityType: 'fitModel',
    taskQueue: 'training',
    worker: 'test',
    status,
    startedAt: at,
    endedAt: status === 'running' ? null : at,
    error: null,
    log: [],
    droppedLines: 0,
  };
}

/** A record whose writes end when the test says so. */
function slowRecord(): {
  batches: string[][];
  write(entries: readonly AttemptEntry[]): Promise<void>;
  release(): void;
} {
  const batches: string[][] = [];
  let release = (): void => undefined;
  return {
    batches,
    write(entries) {
      batches.push(entries.map(({ activityId, status }) => `${activityId} ${status}`));
      return new Promise((resolve) => {
        release = resolve;
      });
    },
    release: () => release(),
  };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** Waits until an attempt has run so long that it is shown as running. */
const shown = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 80));

describe('the recorder of attempts', () => {
  it('writes what comes while it writes in one further batch, an attempt once with its newest state', async () => {
    const record = slowRecord();
    const recorder = createAttemptRecorder(record, logger);
    const endFirst = recorder.begin(entry('1'));
    expect(record.batches).toEqual([]);
    await shown();
    const endSecond = recorder.begin(entry('2'));
    await shown();
    const ends = [endSecond(entry('2', 'failed')), endFirst(entry('1', 'completed'))];
    expect(record.batches).toEqual([['1 running']]);
    record.release();
    await settle();
    record.release();
    await Promise.all(ends);
    expect(record.batches).toEqual([['1 running'], ['2 failed', '1 completed']]);
  });

  it('writes what ends at once when it has ended, and no more', async () => {
    const batches: string[][] = [];
    const write = (entries: readonly AttemptEntry[]): Promise<void> =>
      Promise.resolve(void batches.push(entries.map(({ status }) => status)));
    await createAttemptRecorder({ write }, logger).begin(entry('1'))(entry('1', 'completed'));
    await shown();
    expect(batches).toEqual([['completed']]);
  });

  it('holds an activity up for two seconds at most', async () => {
    const recorder = createAttemptRecorder(slowRecord(), logger);
    const startedAt = performance.now();
    await recorder.begin(entry('1'))(entry('1', 'completed'));
    const waitedMs = performance.now() - startedAt;
    expect(waitedMs).toBeGreaterThan(1_900);
    expect(waitedMs).toBeLessThan(3_000);
  });

  it('writes later what it could not write while Postgres was away, the newest state of it', async () => {
    const batches: string[][] = [];
    let isAway = true;
    const write = (entries: readonly AttemptEntry[]): Promise<void> => {
      if (isAway) return Promise.reject(new PerennialError('database_unavailable', 'away'));
      batches.push(entries.map(({ activityId, status }) => `${activityId} ${status}`));
      return Promise.resolve();
    };
    const recorder = createAttemptRecorder({ write }, logger);
    await recorder.begin(entry('1'))(entry('1', 'failed'));
    const end = recorder.begin(entry('2'));
    await shown();
    isAway = false;
    await end(entry('2', 'completed'));
    expect(batches).toEqual([['1 failed', '2 completed']]);
  });

  it('lets go of what the record does not take', async () => {
    let calls = 0;
    const write = (entries: readonly AttemptEntry[]): Promise<void> => {
      calls += entries.length;
      return Promise.reject(new TypeError('not a row'));
    };
    const recorder = createAttemptRecorder({ write }, logger);
    for (const id of ['1', '2']) await recorder.begin(entry(id))(entry(id, 'completed'));
    expect(calls).toBe(2);
  });
});

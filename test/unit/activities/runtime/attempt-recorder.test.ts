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

/** A store whose writes end when the test ends them. */
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
/** Waits until a running attempt is written. */
const shown = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 80));

describe('the recorder of attempts', () => {
  it('writes attempts that arrive during a write in one batch, each once with its newest state', async () => {
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

  it('writes a short attempt once, at its end', async () => {
    const batches: string[][] = [];
    const write = (entries: readonly AttemptEntry[]): Promise<void> =>
      Promise.resolve(void batches.push(entries.map(({ status }) => status)));
    await createAttemptRecorder({ write }, logger).begin(entry('1'))(entry('1', 'completed'));
    await shown();
    expect(batches).toEqual([['completed']]);
  });

  it('delays an activity by two seconds at most', async () => {
    const recorder = createAttemptRecorder(slowRecord(), logger);
    const startedAt = performance.now();
    await recorder.begin(entry('1'))(entry('1', 'completed'));
    const waitedMs = performance.now() - startedAt;
    expect(waitedMs).toBeGreaterThan(1_900);
    // Without the limit it would never end.
    expect(waitedMs).toBeLessThan(30_000);
  });

  it('writes later, in its newest state, what it could not write while Postgres was unavailable', async () => {
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

  it('drops attempts that the database refuses', async () => {
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

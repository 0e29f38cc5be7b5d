import { waitForStorage } from '../../../../activities/runtime/wait-for-storage.js';
import type { PerennialError } from '../../../../contracts/errors.js';
import { createStorageGuard, type StorageState } from '../../../../platform/storage-guard.js';
import { createLogger } from '../../../../platform/logging.js';

const log = createLogger('test', 'silent');
const { refusal } = createStorageGuard({ folders: [], minFreeBytes: 0 });

/** A context whose sleeps are short, on a disk that has room after so many looks. */
function contextOf(
  activityType: string,
  { room, startToCloseTimeoutMs = 60_000 }: { room: number; startToCloseTimeoutMs?: number },
): { run: () => Promise<void>; beats: unknown[]; shown: (PerennialError | null)[] } {
  const beats: unknown[] = [];
  const shown: (PerennialError | null)[] = [];
  let looks = 0;
  const state = (): Promise<StorageState> => {
    looks += 1;
    const shortage = looks > room ? null : 'The disk is full.';
    return Promise.resolve({ freeBytes: 0, minFreeBytes: 0, shortage });
  };
  const context = {
    info: { activityType, startToCloseTimeoutMs },
    heartbeat: (details: unknown) => beats.push(details),
    sleep: () => new Promise<void>((resolve) => setImmediate(resolve)),
  };
  const run = (): Promise<void> => waitForStorage(context, { state, refusal }, log, (reason) => shown.push(reason));
  return { run, beats, shown };
}

describe('an activity on a full disk', () => {
  it('that writes large files waits with heartbeats that say why, then begins', async () => {
    const { run, beats, shown } = contextOf('fitModel', { room: 3 });
    await run();
    expect(beats).toContainEqual({ waiting_for: 'storage', reason: 'The disk is full.' });
    expect(shown).toMatchObject([{ code: 'insufficient_storage' }, null]);
  });

  it('that changes Production or frees space begins at once', async () => {
    for (const name of ['moveProduction', 'removeExpired', 'discardUpload', 'closePipeline']) {
      const { run, shown } = contextOf(name, { room: Infinity });
      await run();
      expect(shown).toEqual([]);
    }
  });

  it('fails retryably when it has waited for half of its time', async () => {
    const { run } = contextOf('ingestBatch', { room: Infinity, startToCloseTimeoutMs: 40 });
    await expect(run()).rejects.toMatchObject({ code: 'insufficient_storage' });
  });

  it('leaves slots of the worker to others: only some wait, further ones fail and are retried', async () => {
    const waiting = Array.from({ length: 8 }, () =>
      contextOf('ingestBatch', { room: Infinity, startToCloseTimeoutMs: 500 }).run(),
    );
    const outcomes = Promise.allSettled(waiting);
    await new Promise((resolve) => setImmediate(resolve));
    const { run, beats } = contextOf('ingestBatch', { room: Infinity });
    await expect(run()).rejects.toMatchObject({ code: 'insufficient_storage' });
    expect(beats).toEqual([]);
    await outcomes;
  });
});

import type { Context } from '@temporalio/activity';
import type { PerennialError } from '../../contracts/errors.js';
import type { Logger } from '../../platform/logging.js';
import type { StorageGuard } from '../../platform/storage-guard.js';

/**
 * Activities that write large files. Not among them are those that free space, change Production or write a few rows: they
 * run on the last megabytes of the disk.
 */
const largeActivities: ReadonlySet<string> = new Set([
  ...['resolveSource', 'scanSource', 'ingestBatch', 'commitDatasetVersion'],
  ...['extractFeatures', 'fitModel', 'packageModel', 'runTrialRung'],
  ...['checkModelUpload', 'evaluateModelUpload'],
  ...['listBatchItems', 'predictBatchChunk', 'mergeBatchResults'],
]);

const lookEveryMs = 1_000;
/** Most activities of a worker that wait, so that the others still get a slot; further ones fail and are retried. */
const maxWaiting = 8;
let waiting = 0;

type Waiting = Pick<Context, 'heartbeat' | 'sleep'> & {
  info: Pick<Context['info'], 'activityType' | 'startToCloseTimeoutMs'>;
};

/**
 * Waits until the disk has room for the activity, with heartbeats: a wait uses up no attempts. `onWait` is called with the
 * reason, and with null after the wait. Throws `insufficient_storage` after half of the time that the attempt has, and a cancellation.
 */
export async function waitForStorage(
  context: Waiting,
  storage: Pick<StorageGuard, 'state' | 'refusal'>,
  log: Pick<Logger, 'info' | 'warn'>,
  onWait: (reason: PerennialError | null) => void,
): Promise<void> {
  if (!largeActivities.has(context.info.activityType)) return;
  const reason = storage.refusal('run', await storage.state());
  if (reason === null) return;
  if (waiting >= maxWaiting) throw reason;
  waiting += 1;
  try {
    log.warn({ code: reason.code, reason: reason.message }, 'the activity waits for disk space');
    onWait(reason);
    await untilRoom(context, storage, reason);
    log.info('the disk has space again; the activity begins');
    onWait(null);
  } finally {
    waiting -= 1;
  }
}

async function untilRoom(
  context: Waiting,
  storage: Pick<StorageGuard, 'state'>,
  reason: PerennialError,
): Promise<void> {
  const deadline = Date.now() + context.info.startToCloseTimeoutMs / 2;
  while ((await storage.state()).shortage !== null) {
    if (Date.now() > deadline) throw reason;
    context.heartbeat({ waiting_for: 'storage', reason: reason.message });
    await context.sleep(lookEveryMs);
  }
}

import { errorCodeOf } from '../../contracts/errors.js';
import type { EpochEvent } from '../../model/jobs.js';
import { checkpointKey, checkpointPrefix } from '../../stores/objects/object-keys.js';
import { hashFile } from '../../platform/hash-file.js';
import type { TrainingDependencies } from './dependencies.js';

/** A run resumes from its last checkpoint; the one before is a spare for the operator if the last is damaged. */
const keptCheckpoints = 2;

/**
 * Makes the metrics and the checkpoint of an epoch visible together, then deletes older checkpoints. Throws
 * `stale_attempt` when another attempt has taken over the run or the run has ended; then it leaves no object behind.
 */
export async function commitEpoch(
  deps: Pick<TrainingDependencies, 'runs' | 'objects' | 'logger'>,
  runId: string,
  attempt: number,
  event: Pick<EpochEvent, 'metrics' | 'checkpointPath'>,
): Promise<void> {
  const objectKey = checkpointKey(runId, event.metrics.epoch, attempt);
  const { sha256, sizeBytes } = await hashFile(event.checkpointPath);
  await deps.objects.putFile(objectKey, event.checkpointPath);
  try {
    await deps.runs.recordEpoch(runId, attempt, event.metrics, { objectKey, sha256, sizeBytes });
  } catch (error) {
    // The attempt that took over may have cleaned up already.
    if (errorCodeOf(error) === 'stale_attempt') await deps.objects.delete(objectKey);
    throw error;
  }
  await pruneCheckpoints(deps, runId).catch((error: unknown) => {
    deps.logger.warn({ error, run_id: runId }, 'older checkpoints stay until the run ends');
  });
}

/** Deletes objects before rows, so that an interrupted deletion is repeated. */
async function pruneCheckpoints(
  { runs, objects }: Pick<TrainingDependencies, 'runs' | 'objects'>,
  runId: string,
): Promise<void> {
  const older = await runs.olderCheckpoints(runId, keptCheckpoints);
  await objects.deleteMany(older);
  await runs.forgetCheckpoints(runId, older);
}

/** Removes all checkpoints of an ended run, also those that were uploaded but not recorded. */
export async function removeCheckpoints(
  { runs, objects }: Pick<TrainingDependencies, 'runs' | 'objects'>,
  runId: string,
): Promise<void> {
  await objects.deletePrefix(checkpointPrefix(runId));
  await runs.forgetCheckpoints(runId, await runs.olderCheckpoints(runId, 0));
}

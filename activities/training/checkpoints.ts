import { errorCodeOf } from '../../contracts/errors.js';
import type { EpochEvent } from '../../model/jobs.js';
import { checkpointKey, checkpointPrefix } from '../../stores/objects/object-keys.js';
import { hashFile } from '../../platform/hash-file.js';
import type { TrainingDependencies } from './dependencies.js';

/** A run resumes from its last checkpoint; the one before is a spare for a person, should the last be damaged. */
const keptCheckpoints = 2;

/**
 * Makes an epoch's metrics and checkpoint visible together, then lets older checkpoints go. Throws `stale_attempt`
 * when another attempt has taken the run over or it has ended; nothing is left behind then.
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
    // Whoever overtook us may have tidied up already.
    if (errorCodeOf(error) === 'stale_attempt') await deps.objects.delete(objectKey);
    throw error;
  }
  await pruneCheckpoints(deps, runId).catch((error: unknown) => {
    deps.logger.warn({ error, run_id: runId }, 'older checkpoints stay until the run ends');
  });
}

/** Objects before rows: what is cut off in between is done again. */
async function pruneCheckpoints(
  { runs, objects }: Pick<TrainingDependencies, 'runs' | 'objects'>,
  runId: string,
): Promise<void> {
  const older = await runs.olderCheckpoints(runId, keptCheckpoints);
  await objects.deleteMany(older);
  await runs.forgetCheckpoints(runId, older);
}

/** Removes all checkpoints of a run that has ended, also those that an attempt uploaded and could not record. */
export async function removeCheckpoints(
  { runs, objects }: Pick<TrainingDependencies, 'runs' | 'objects'>,
  runId: string,
): Promise<void> {
  await objects.deletePrefix(checkpointPrefix(runId));
  await runs.forgetCheckpoints(runId, await runs.olderCheckpoints(runId, 0));
}

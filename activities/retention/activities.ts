import type { Actor } from '../../contracts/audit/audit.js';
import { errorCodeOf } from '../../contracts/errors.js';
import type { ExpiryStep } from '../../contracts/names.js';
import type { RetentionResult } from '../../contracts/retraining/schedules.js';
import type { OrphanCount } from '../../contracts/storage/storage.js';
import { planRetention } from '../../domain/registry/version-retention.js';
import type { AttemptStore } from '../../stores/pipelines/attempts.js';
import type { AuditStore } from '../../stores/audit/audit.js';
import { deleteVersion, finishDeletions } from '../../stores/registry/delete-version.js';
import { batchPrefix } from '../../stores/objects/object-keys.js';
import type { BatchPredictionStore } from '../../stores/batch-predictions/batch-predictions.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import { removeExpiredInputs, type PredictionInputStore } from '../../stores/predictions/prediction-inputs.js';
import type { PredictionStore } from '../../stores/predictions/predictions.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { RetentionStore } from '../../stores/pipelines/retention.js';
import type { RunStore } from '../../stores/experiments/runs.js';
import { discardUpload, settleUpload, type UploadStore } from '../../stores/datasets/uploads.js';
import { withHeartbeat } from '../runtime/heartbeat.js';
import { removeCheckpoints } from '../training/checkpoints.js';
import { removeOrphans, type OrphanDependencies } from './remove-orphans.js';

export interface RetentionDependencies extends OrphanDependencies {
  attempts: Pick<AttemptStore, 'removeBefore'>;
  audit: Pick<AuditStore, 'add'>;
  batchPredictions: Pick<BatchPredictionStore, 'expired' | 'remove'>;
  inputs: PredictionInputStore;
  objects: ObjectStore;
  policies: Pick<PolicyStore, 'get'>;
  predictions: Pick<PredictionStore, 'removeBefore'>;
  registry: RegistryStore;
  retention: RetentionStore;
  runs: RunStore;
  uploads: Pick<UploadStore, 'markDiscarded' | 'markRefused'>;
}

export interface RemovalOrder {
  step: ExpiryStep;
  dryRun: boolean;
  by: Actor;
}

export interface RetentionActivities {
  /** Removes the items of a step, or counts them in a dry run. Referenced items stay. Returns the number of items. */
  removeExpired(order: RemovalOrder): Promise<number>;
  /** Removes unreferenced objects, or counts them in a dry run. */
  removeOrphanedObjects(order: { dryRun: boolean }): Promise<OrphanCount[]>;
  noteRetention(note: { by: Actor; result: RetentionResult }): Promise<void>;
}

/** Maximum age in days of items without a policy. */
const days = { messages: 30, checkpoints: 1 / 24, ingestionFiles: 30, refusedFiles: 30, uploads: 1, attempts: 30 };
const batch = 1_000;

type Remove = (deps: RetentionDependencies, order: RemovalOrder) => Promise<number>;

const steps: Record<ExpiryStep, Remove> = {
  remove_predictions: removePredictions,
  retire_model_versions: retireVersions,
  remove_messages: ({ retention }, { dryRun }) => {
    const before = ago(days.messages);
    return dryRun ? retention.countMessages(before) : untilNone(() => retention.removeMessages(before, batch));
  },
  remove_checkpoints: removeLeftCheckpoints,
  remove_ingestion_files: ({ retention }, { dryRun }) => {
    const before = ago(days.ingestionFiles);
    return dryRun ? retention.countFormerFiles(before) : untilNone(() => retention.removeFormerFiles(before, batch));
  },
  remove_uploads: removeUploads,
  remove_attempts: ({ attempts, retention }, { dryRun }) => {
    const before = ago(days.attempts);
    return dryRun ? retention.countAttempts(before) : untilNone(() => attempts.removeBefore(before, batch));
  },
};

/** Keeps the database and the object store from growing without limit. */
export function createRetentionActivities(deps: RetentionDependencies): RetentionActivities {
  return {
    removeExpired: (order) => withHeartbeat(() => steps[order.step](deps, order)),
    removeOrphanedObjects: ({ dryRun }) =>
      withHeartbeat((report, signal) => removeOrphans({ ...deps, dryRun, report, signal })),
    noteRetention: ({ by, result }) =>
      deps.audit.add({
        ...{ by, action: 'retention.apply', subject: 'retention' },
        after: { ...result.removed, ...(result.orphans && { orphans: result.orphans }) },
      }),
  };
}

/** Deletes versions beyond the policy of their model, and finishes interrupted deletions. */
async function retireVersions(deps: RetentionDependencies, { dryRun, by }: RemovalOrder): Promise<number> {
  if (!dryRun) await finishDeletions(deps);
  let retired = 0;
  for (const modelName of await deps.registry.models()) {
    const { versions: keep } = (await deps.policies.get(modelName)).retention;
    const { retire } = planRetention(await deps.registry.retentionFacts(modelName), { keep, now: new Date() });
    for (const version of retire) {
      if (dryRun || (await isDeleted(deps, { modelName, version, by, reason: `beyond the ${keep} newest versions` }))) {
        retired += 1;
      }
    }
  }
  return retired;
}

/** Returns false for a version that was referenced after the plan was made; it is kept. */
async function isDeleted(deps: RetentionDependencies, deletion: Parameters<typeof deleteVersion>[1]): Promise<boolean> {
  try {
    await deleteVersion(deps, deletion);
    return true;
  } catch (error) {
    if (errorCodeOf(error) === 'referenced') return false;
    throw error;
  }
}

/** Also removes expired captured images. */
async function removePredictions(deps: RetentionDependencies, { dryRun }: RemovalOrder): Promise<number> {
  let removed = dryRun ? await deps.inputs.countExpired() : await removeExpiredInputs(deps);
  for (const modelName of await deps.registry.models()) {
    const { predictionDays } = (await deps.policies.get(modelName)).retention;
    const before = ago(predictionDays);
    removed += dryRun
      ? await deps.retention.countPredictions(modelName, before)
      : await untilNone(() => deps.predictions.removeBefore(modelName, before, batch));
    removed += await removeBatches(deps, modelName, before, dryRun);
  }
  return removed;
}

/** Removes batch predictions with their results; each counts as one. */
async function removeBatches(
  { batchPredictions, objects }: RetentionDependencies,
  modelName: string,
  before: Date,
  dryRun: boolean,
): Promise<number> {
  const expired = await batchPredictions.expired(modelName, before);
  if (dryRun) return expired.length;
  for (const id of expired) {
    // The row last, so that an interrupted removal is continued.
    await objects.deletePrefix(batchPrefix(id));
    await batchPredictions.remove(id);
  }
  return expired.length;
}

/** Removes checkpoints of ended runs and of runs that do not exist. */
async function removeLeftCheckpoints(deps: RetentionDependencies, { dryRun }: RemovalOrder): Promise<number> {
  const ended = await deps.retention.runsWithCheckpoints(ago(days.checkpoints));
  const owners = new Set<string>();
  for await (const { key } of deps.objects.list('checkpoints/')) owners.add(key.split('/')[1] ?? '');
  const left = [...new Set([...ended, ...(await deps.retention.unknownRuns([...owners]))])];
  if (!dryRun) for (const runId of left) await removeCheckpoints(deps, runId);
  return left.length;
}

/** Originals that no ingestion needs, and after a month those that one refused. */
async function removeUploads(deps: RetentionDependencies, { dryRun }: RemovalOrder): Promise<number> {
  const left = await deps.retention.leftUploads(ago(days.uploads));
  const expired = await deps.retention.expiredRefusals(ago(days.refusedFiles));
  if (!dryRun) {
    for (const uploadId of left) await settleUpload(deps, uploadId);
    for (const uploadId of expired) {
      await discardUpload(deps, uploadId);
      await deps.retention.forgetRefusals(uploadId);
    }
  }
  return left.length + expired.length;
}

/** Removes in batches, so that no statement blocks others for long. */
async function untilNone(removeSome: () => Promise<number>): Promise<number> {
  let total = 0;
  for (;;) {
    const removed = await removeSome();
    total += removed;
    if (removed < batch) return total;
  }
}

function ago(count: number): Date {
  return new Date(Date.now() - count * 86_400_000);
}

import { CancellationScope, patched, proxyActivities, workflowInfo } from '@temporalio/workflow';
import { expirySteps, orphanStep, retentionSteps, type ExpiryStep } from '../contracts/names.js';
import type { Actor } from '../contracts/audit/audit.js';
import type { RetentionInput, RetentionResult } from '../contracts/retraining/schedules.js';
import type { OrphanCount } from '../contracts/storage/storage.js';
import type { RetentionActivities } from '../activities/retention/activities.js';
import { recordOptions, storageOptions } from './activity-options.js';
import { recordPipeline } from './pipeline-record.js';
import type { StepTracker } from './progress.js';

const { noteRetention } = proxyActivities<RetentionActivities>(recordOptions);

/** Runs the retention steps one after another. A step that fails does not stop the others. */
export async function applyRetention({ dryRun, trigger }: RetentionInput): Promise<RetentionResult> {
  const { workflowId } = workflowInfo();
  const by: Actor = {
    name: 'retention',
    via: trigger === 'schedule' ? 'schedule' : 'workflow',
    from: workflowId,
    requestId: null,
  };
  const steps = patched('remove-orphaned-objects') ? retentionSteps : expirySteps;
  return recordPipeline({ trigger, modelName: null, dataset: null, steps }, async (progress) => {
    const result: RetentionResult = { dryRun, removed: {} };
    const failures: unknown[] = [];
    for (const step of steps) {
      try {
        if (step === orphanStep) {
          result.orphans = await removeOrphans(progress, dryRun);
          result.removed[step] = sumOf(result.orphans, 'objects');
        } else {
          result.removed[step] = await removeExpired(progress, { step, dryRun, by });
        }
      } catch (error) {
        failures.push(error);
      }
    }
    // Also record what was removed before a cancellation.
    if (!dryRun) await CancellationScope.nonCancellable(() => noteRetention({ by, result }));
    if (failures.length > 0) throw failures[0];
    return result;
  });
}

function removeExpired(
  progress: StepTracker,
  order: { step: ExpiryStep; dryRun: boolean; by: Actor },
): Promise<number> {
  const activities = proxyActivities<RetentionActivities>({ ...storageOptions, summary: order.step });
  return progress.step(
    order.step,
    () => activities.removeExpired(order),
    (count) => `${count} ${outcomeOf(order.dryRun)}`,
  );
}

function removeOrphans(progress: StepTracker, dryRun: boolean): Promise<OrphanCount[]> {
  const { removeOrphanedObjects } = proxyActivities<RetentionActivities>({ ...storageOptions, summary: orphanStep });
  return progress.step(
    orphanStep,
    () => removeOrphanedObjects({ dryRun }),
    (orphans) =>
      `${sumOf(orphans, 'objects')} objects of ${sumOf(orphans, 'bytes')} bytes in total ${outcomeOf(dryRun)}`,
  );
}

function outcomeOf(dryRun: boolean): string {
  return dryRun ? 'would be removed' : 'removed';
}

function sumOf(orphans: readonly OrphanCount[], figure: 'objects' | 'bytes'): number {
  return orphans.reduce((sum, orphan) => sum + orphan[figure], 0);
}

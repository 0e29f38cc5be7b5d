import { CancellationScope, proxyActivities, workflowInfo } from '@temporalio/workflow';
import { retentionSteps, type RetentionStep } from '../contracts/names.js';
import type { Actor } from '../contracts/audit/audit.js';
import type { RetentionInput, RetentionResult } from '../contracts/retraining/schedules.js';
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
  return recordPipeline({ trigger, modelName: null, dataset: null, steps: retentionSteps }, async (progress) => {
    const removed: RetentionResult['removed'] = {};
    const failures: unknown[] = [];
    for (const step of retentionSteps) {
      try {
        removed[step] = await runStep(progress, { step, dryRun, by });
      } catch (error) {
        failures.push(error);
      }
    }
    const result = { dryRun, removed };
    // Also record what was removed before a cancellation.
    if (!dryRun) await CancellationScope.nonCancellable(() => noteRetention({ by, result }));
    if (failures.length > 0) throw failures[0];
    return result;
  });
}

function runStep(progress: StepTracker, order: { step: RetentionStep; dryRun: boolean; by: Actor }): Promise<number> {
  const { removeExpired } = proxyActivities<RetentionActivities>({ ...storageOptions, summary: order.step });
  return progress.step(
    order.step,
    () => removeExpired(order),
    (count) => (order.dryRun ? `${count} would be removed` : `${count} removed`),
  );
}

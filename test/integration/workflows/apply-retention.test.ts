import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { retentionSteps } from '../../../contracts/names.js';
import type { RetentionInput, RetentionResult } from '../../../contracts/retraining/schedules.js';
import type { applyRetention } from '../../../workflows/apply-retention.js';
import { createFakeActivities, type AllActivities, type Written } from '../../support/fake-activities.js';
import { startWorkflowServer, type WorkflowServer } from '../../support/workflow-server.js';

describe('applyRetention', () => {
  let server: WorkflowServer;
  beforeAll(async () => {
    server = await startWorkflowServer();
  });
  afterAll(() => server.stop());

  const run = (
    input: RetentionInput,
    replaced: Partial<AllActivities> = {},
  ): Promise<{ result: RetentionResult | Error; written: Written }> => {
    const { activities, written } = createFakeActivities(replaced);
    return server.withWorkers(activities, async () => {
      const handle = await server.client.workflow.start<typeof applyRetention>('applyRetention', {
        workflowId: `retention-${randomUUID()}`,
        taskQueue: 'pipeline',
        args: [input],
      });
      const result = await handle.result().catch((error: unknown) => {
        if (error instanceof WorkflowFailedError) return error;
        throw error;
      });
      return { result, written };
    });
  };

  it('runs every step, is recorded, and writes one audit row', async () => {
    const { result, written } = await run({ dryRun: false, trigger: 'schedule' });
    const removed = Object.fromEntries(retentionSteps.map((step) => [step, 3]));
    const orphans = [{ kind: 'features', objects: 3, bytes: 3_000_000 }];
    expect(result).toEqual({ dryRun: false, removed, orphans });
    expect(written.opened).toEqual(['applyRetention']);
    expect(written.ends).toMatchObject([{ status: 'completed', result: { removed } }]);
    expect(written.calls.filter((call) => call === 'noteRetention')).toHaveLength(1);
  });

  it('writes no audit row when it only counts', async () => {
    const { written } = await run({ dryRun: true, trigger: 'manual' });
    expect(written.calls).not.toContain('noteRetention');
    expect(written.steps.at(-1)).toMatchObject({
      name: 'remove_orphaned_objects',
      detail: '3 objects of 3000000 bytes in total would be removed',
    });
  });

  it('records what was removed before it was cancelled', async () => {
    const noted: unknown[] = [];
    const removeExpired: AllActivities['removeExpired'] = async () => {
      const { workflowExecution } = Context.current().info;
      await server.client.workflow.getHandle(workflowExecution?.workflowId ?? '').cancel();
      return 7;
    };
    const noteRetention: AllActivities['noteRetention'] = ({ result }) => Promise.resolve(void noted.push(result));
    const { written } = await run({ dryRun: false, trigger: 'manual' }, { removeExpired, noteRetention });
    expect(noted).toEqual([{ dryRun: false, removed: { remove_predictions: 7 } }]);
    expect(written.ends).toMatchObject([{ status: 'cancelled' }]);
  });

  it('continues after a failed step, and fails in the end', async () => {
    const { result, written } = await run(
      { dryRun: false, trigger: 'schedule' },
      {
        removeExpired: ({ step }) =>
          step === 'remove_uploads'
            ? Promise.reject(ApplicationFailure.nonRetryable('the keys are refused', 'object_store_refused'))
            : Promise.resolve(0),
      },
    );
    expect(result).toBeInstanceOf(WorkflowFailedError);
    expect(written.ends).toMatchObject([{ status: 'failed', error: { code: 'object_store_refused' } }]);
    expect(written.steps.at(-1)).toMatchObject({ name: 'remove_orphaned_objects', status: 'completed' });
  });
});

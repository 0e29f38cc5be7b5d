import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import { retrainingSteps, retrainingWorkflowId } from '../../../contracts/names.js';
import type { retrainingPipeline } from '../../../workflows/index.js';
import { createFakeActivities, type AllActivities } from '../../support/fake-activities.js';
import { hyperparameters } from '../../support/measurements.js';
import { startWorkflowServer, type WorkflowServer } from '../../support/workflow-server.js';

let server: WorkflowServer;
beforeAll(async () => {
  server = await startWorkflowServer();
});
afterAll(() => server.stop());

/** Runs a retraining of the images that there are, to its end. */
function run(activities: AllActivities): Promise<WorkflowHandle> {
  const modelName = `model-${randomUUID()}`;
  const request = { trigger: 'manual', requestId: randomUUID(), source: null } as const;
  return server.withWorkers(activities, async () => {
    const handle = await server.client.workflow.start<typeof retrainingPipeline>('retrainingPipeline', {
      workflowId: retrainingWorkflowId(modelName),
      taskQueue: 'pipeline',
      args: [{ ...request, modelName, dataset: 'flowers', hyperparameters }],
    });
    await handle.result();
    return handle;
  });
}

describe('a retraining', () => {
  it('is one workflow, each row of which is a step', async () => {
    const handle = await run(createFakeActivities().activities);
    const events = (await handle.fetchHistory()).events ?? [];
    expect(events.filter(({ startChildWorkflowExecutionInitiatedEventAttributes: child }) => child)).toEqual([]);
    const rows = events.filter(
      ({ activityTaskScheduledEventAttributes: activity, markerRecordedEventAttributes: marker }) =>
        activity ?? (marker && marker.markerName !== 'core_patch'),
    );
    expect(rows.length).toBeGreaterThanOrEqual(retrainingSteps.length);
    for (const { userMetadata } of rows) expect(userMetadata?.summary?.data).toBeTruthy();
  });

  it('writes that a step runs before its work begins, also one that waits for the training worker', async () => {
    const { activities, written } = createFakeActivities();
    const stateAt = new Map<string, unknown>();
    const noting = new Proxy(activities, {
      get(target, name): unknown {
        const activity: unknown = Reflect.get(target, name);
        if (typeof activity !== 'function') return activity;
        return (...args: unknown[]): unknown => {
          const last = written.steps.findLast(({ status }) => status === 'running')?.name;
          if (!stateAt.has(String(name))) stateAt.set(String(name), last);
          return Reflect.apply(activity, target, args);
        };
      },
    });
    await run(noting);
    expect(Object.fromEntries(stateAt)).toMatchObject({
      selectTrainingData: 'prepare_training_data',
      extractFeatures: 'train_new_model',
      registerModel: 'train_new_model',
      validateCandidate: 'validate_new_model',
      moveProduction: 'deploy_new_model',
      sendNotification: 'send_notification',
    });
  });

  it('writes the states of steps again until they are written', async () => {
    let refusals = 3;
    const { activities, written } = createFakeActivities();
    const { enterSteps } = activities;
    const broken: AllActivities = {
      ...activities,
      enterSteps(runId, steps) {
        refusals -= 1;
        if (refusals >= 0) return Promise.reject(ApplicationFailure.retryable('away', 'database_unavailable'));
        return enterSteps(runId, steps);
      },
    };
    await run(broken);
    const ended = written.steps.flatMap(({ name, status }) => (status === 'completed' ? [name] : []));
    expect(new Set(ended)).toEqual(new Set(retrainingSteps));
  });
});

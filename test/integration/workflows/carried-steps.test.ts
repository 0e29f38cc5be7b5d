import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import { retrainingSteps, retrainingWorkflowId } from '../../../contracts/names.js';
import type { Source } from '../../../contracts/datasets/datasets.js';
import type { retrainingPipeline } from '../../../workflows/index.js';
import { poll } from '../../support/api-client.js';
import { createFakeActivities, type AllActivities } from '../../support/fake-activities.js';
import { hyperparameters } from '../../support/measurements.js';
import { startWorkflowServer, type WorkflowServer } from '../../support/workflow-server.js';

let server: WorkflowServer;
beforeAll(async () => {
  server = await startWorkflowServer();
});
afterAll(() => server.stop());

/** Starts a retraining, of the images that there are unless a source is given. */
function start(source: Source | null = null): Promise<WorkflowHandle> {
  const modelName = `model-${randomUUID()}`;
  return server.client.workflow.start<typeof retrainingPipeline>('retrainingPipeline', {
    workflowId: retrainingWorkflowId(modelName),
    taskQueue: 'pipeline',
    args: [{ trigger: 'manual', requestId: randomUUID(), source, modelName, dataset: 'flowers', hyperparameters }],
  });
}

/** Runs a retraining of the images that there are, to its end, also if it fails. */
function run(activities: AllActivities): Promise<WorkflowHandle> {
  return server.withWorkers(activities, async () => {
    const handle = await start();
    await handle.result().catch(() => undefined);
    return handle;
  });
}

/** The activities that the server handed out, in order. */
async function ordinaryActivities(handle: WorkflowHandle): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: task }) => task?.activityType?.name ?? []);
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

  it('runs its short activities without the server', async () => {
    const handle = await run(createFakeActivities().activities);
    expect(await ordinaryActivities(handle)).toEqual([
      'extractFeatures',
      'fitModel',
      'packageModel',
      'validateCandidate',
      'checkReplicas',
    ]);
  });

  it('gives up a short activity at once that a retry cannot mend', async () => {
    const selectTrainingData = (): Promise<never> =>
      Promise.reject(ApplicationFailure.nonRetryable('too few images', 'dataset_too_small'));
    const { activities, written } = createFakeActivities({ selectTrainingData });
    await run(activities);
    expect(written.calls.filter((name) => name === 'selectTrainingData')).toHaveLength(1);
    expect(written.ends.at(-1)).toMatchObject({ status: 'failed', error: { code: 'dataset_too_small' } });
  });

  it('retries a short activity on the server when the database is away', async () => {
    let tries = 0;
    const moveProduction: AllActivities['moveProduction'] = () => {
      tries += 1;
      if (tries < 3) return Promise.reject(ApplicationFailure.retryable('away', 'database_unavailable'));
      return Promise.resolve({ formerVersion: null, generation: 1 });
    };
    const { activities, written } = createFakeActivities({ moveProduction });
    const ordinary = await ordinaryActivities(await run(activities));
    expect(ordinary.filter((name) => name === 'moveProduction')).toHaveLength(1);
    expect(written.ends.at(-1)).toMatchObject({ status: 'completed' });
  });

  it('shows its step while an ingestion runs', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { activities, written } = createFakeActivities();
    const { scanSource } = activities;
    const slow: AllActivities = { ...activities, scanSource: (input) => held.then(() => scanSource(input)) };
    await server.withWorkers(slow, async () => {
      const handle = await start({ kind: 'synthetic' });
      const stage = async (): Promise<unknown> => {
        const { typedSearchAttributes } = await handle.describe();
        return typedSearchAttributes.getAll().find(({ key }) => key.name === 'MlStage')?.value;
      };
      expect(await poll(stage, (shown) => shown === 'prepare_training_data')).toBe('prepare_training_data');
      release();
      await handle.result();
    });
    expect(written.ends.at(-1)).toMatchObject({ status: 'completed' });
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

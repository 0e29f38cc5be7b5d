import { randomUUID } from 'node:crypto';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { retrainingSteps, retrainingWorkflowId } from '../../../contracts/names.js';
import type { Progress } from '../../../contracts/workflows/runs.js';
import type { RetrainingInput, RetrainingResult } from '../../../contracts/retraining/retraining-pipeline.js';
import type { retrainingPipeline } from '../../../workflows/index.js';
import { decisionOf, hyperparameters } from '../../support/measurements.js';
import { createFakeActivities, type AllActivities, type Written } from '../../support/fake-activities.js';
import { startWorkflowServer, type WorkflowServer } from '../../support/workflow-server.js';

let server: WorkflowServer;
beforeAll(async () => {
  server = await startWorkflowServer();
});
afterAll(() => server.stop());

type Handle = WorkflowHandleWithFirstExecutionRunId<typeof retrainingPipeline>;

function inputOf(modelName: string): RetrainingInput {
  return {
    modelName,
    dataset: 'flowers',
    trigger: 'manual',
    requestId: randomUUID(),
    source: { kind: 'synthetic' },
    hyperparameters,
  };
}

function start(modelName: string, source: RetrainingInput['source'] = { kind: 'synthetic' }): Promise<Handle> {
  return server.client.workflow.start<typeof retrainingPipeline>('retrainingPipeline', {
    workflowId: retrainingWorkflowId(modelName),
    workflowIdConflictPolicy: 'USE_EXISTING',
    taskQueue: 'pipeline',
    args: [{ ...inputOf(modelName), source }],
  });
}

async function run(
  replaced: Partial<AllActivities> = {},
): Promise<{ result: RetrainingResult; written: Written; handle: Handle }> {
  const { activities, written } = createFakeActivities(replaced);
  return server.withWorkers(activities, async () => {
    const handle = await start(`model-${randomUUID()}`);
    return { result: await handle.result(), written, handle };
  });
}

async function runToFailure(replaced: Partial<AllActivities>): Promise<Written> {
  const { activities, written } = createFakeActivities(replaced);
  await server.withWorkers(activities, async () => {
    const handle = await start(`model-${randomUUID()}`);
    await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
  });
  return written;
}

/** The ends of a step: status and detail. */
function endsOf({ steps }: Written, step: string): unknown[] {
  return steps.flatMap(({ name, status, detail }) => (name === step && status !== 'running' ? [[status, detail]] : []));
}

describe('retrainingPipeline', () => {
  it('goes through every step in order and promotes', async () => {
    const { result, written } = await run();
    expect(result).toMatchObject({ outcome: 'promoted', version: 1, datasetVersion: 1 });
    const completed = retrainingSteps.map((step) =>
      written.steps.findIndex(({ name, status }) => name === step && status === 'completed'),
    );
    const [start = -1, performance = -1, newData = -1, ...later] = completed;
    // The two checks run concurrently: either may end first.
    const inOrder = [start, Math.min(performance, newData), Math.max(performance, newData), ...later];
    expect(start).toBeGreaterThanOrEqual(0);
    expect(inOrder).toEqual([...inOrder].sort((a, b) => a - b));
    expect(new Set(inOrder).size).toBe(retrainingSteps.length);
    expect(written.ends.at(-1)).toMatchObject({ status: 'completed', result: { outcome: 'promoted' } });
  });

  it('carries every step name as a Temporal summary', async () => {
    const { handle } = await run();
    const { events } = await handle.fetchHistory();
    const summaries = (events ?? []).flatMap(({ userMetadata }) => {
      const data = userMetadata?.summary?.data;
      return data ? [String(JSON.parse(Buffer.from(data).toString()))] : [];
    });
    expect(new Set(summaries)).toEqual(new Set(retrainingSteps));
  });

  it('leaves Production unchanged when the promotion gate refuses', async () => {
    const { result, written } = await run({
      validateCandidate: () => Promise.resolve(decisionOf('refuse', 'it is worse')),
    });
    expect(result).toMatchObject({ outcome: 'refused', summary: 'it is worse' });
    expect(endsOf(written, 'deploy_new_model')).toEqual([['skipped', 'it is worse']]);
    expect(endsOf(written, 'validate_new_model')).toEqual([['completed', 'it is worse']]);
    expect(written.calls).not.toContain('moveProduction');
  });

  it('restores the previous version when a replica fails its smoke test', async () => {
    const { result, written } = await run({
      checkReplicas: () =>
        Promise.resolve({ passed: false, replicas: ['http://127.0.0.1:1'], detail: 'it answered 500' }),
    });
    expect(result).toMatchObject({ outcome: 'rolled_back', summary: 'it answered 500' });
    expect(written.calls).toContain('moveProductionBack');
    expect(endsOf(written, 'deploy_new_model')).toEqual([['failed', 'it answered 500']]);
  });

  it('deploys nothing when Production changes at every validation', async () => {
    const { result, written } = await run({
      moveProduction: () => Promise.reject(ApplicationFailure.nonRetryable('Production changed', 'stale_promotion')),
    });
    expect(result.outcome).toBe('stale');
    expect(endsOf(written, 'deploy_new_model')).toEqual([['skipped', 'Production changed']]);
  });

  it('restores the previous version when the replicas cannot be checked at all', async () => {
    const written = await runToFailure({
      checkReplicas: () => Promise.reject(ApplicationFailure.nonRetryable('no test image', 'smoke_test_failed')),
    });
    expect(written.calls).toContain('moveProductionBack');
    expect(written.ends.at(-1)).toMatchObject({ status: 'failed', error: { code: 'smoke_test_failed' } });
  });

  it('finishes a started promotion although the run is cancelled meanwhile', async () => {
    let release: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => (release = resolve));
    const { activities, written } = createFakeActivities({
      checkReplicas: async () => {
        await asked;
        return { passed: true, replicas: [], detail: 'they answer' };
      },
    });
    await server.withWorkers(activities, async () => {
      const handle = await start(`model-${randomUUID()}`);
      await until(() => Promise.resolve(written.calls.includes('checkReplicas')));
      await handle.cancel();
      release();
      await handle.result().catch(() => undefined);
    });
    expect(written.calls).not.toContain('moveProductionBack');
    const deployed = written.steps.find(({ name, status }) => name === 'deploy_new_model' && status !== 'running');
    expect(deployed).toMatchObject({ status: 'completed', detail: 'they answer' });
    expect(written.ends.at(-1)).toMatchObject({ status: 'cancelled' });
  });

  it('shows its current step as a search attribute', async () => {
    const { handle } = await run();
    const { typedSearchAttributes } = await handle.describe();
    const stages = typedSearchAttributes.getAll().flatMap(({ key, value }) => (key.name === 'MlStage' ? [value] : []));
    expect(stages).toEqual(['send_notification']);
  });

  it('ends with the code and sentence of the activity that failed, and records them', async () => {
    const sentence = 'grass has 4 images, ten are needed; add photographs of it.';
    const written = await runToFailure({
      selectTrainingData: () => Promise.reject(ApplicationFailure.nonRetryable(sentence, 'dataset_too_small')),
    });
    expect(written.ends.at(-1)).toEqual({ status: 'failed', error: { code: 'dataset_too_small', message: sentence } });
    expect(written.steps).toContainEqual(
      expect.objectContaining({ name: 'prepare_training_data', status: 'failed', detail: sentence }),
    );
  });

  it('fails the training run too when training fails, and names the innermost cause', async () => {
    const failed: unknown[] = [];
    const written = await runToFailure({
      packageModel: () => Promise.reject(ApplicationFailure.nonRetryable('the graph differs by 0.2', 'parity_failed')),
      failTraining: (_runId, end) => Promise.resolve(void failed.push(end)),
    });
    expect(failed).toEqual([
      { status: 'failed', error: { code: 'parity_failed', message: 'the graph differs by 0.2' } },
    ]);
    expect(written.ends.at(-1)).toMatchObject({ status: 'failed', error: { code: 'parity_failed' } });
  });

  it.each(['source_not_found', 'source_not_allowed', 'source_empty'])(
    'goes on with the images it has on %s of a known folder',
    async (code) => {
      const gone = '/photographs is not there.';
      const { activities, written } = createFakeActivities({
        sourcesToRescan: () => Promise.resolve([{ kind: 'folder', path: '/photographs' }]),
        resolveSource: () => Promise.reject(ApplicationFailure.nonRetryable(gone, code)),
      });
      await server.withWorkers(activities, async () => {
        await (await start(`model-${randomUUID()}`, null)).result();
      });
      const prepared = written.steps.find(
        ({ name, status }) => name === 'prepare_training_data' && status === 'completed',
      );
      expect(prepared?.detail).toContain(gone);
    },
  );

  it('fails when the requested source does not exist', async () => {
    const written = await runToFailure({
      resolveSource: () => Promise.reject(ApplicationFailure.nonRetryable('it is not there', 'source_not_found')),
    });
    expect(written.ends.at(-1)).toMatchObject({ status: 'failed', error: { code: 'source_not_found' } });
  });

  it('retries transient errors', async () => {
    let attempts = 0;
    const { result } = await run({
      checkNewData: () => {
        attempts += 1;
        return attempts < 3
          ? Promise.reject(ApplicationFailure.retryable('away', 'database_unavailable'))
          : Promise.resolve({ newImages: 0, newShare: 0, detail: 'none' });
      },
    });
    expect(attempts).toBe(3);
    expect(result.outcome).toBe('promoted');
  });

  it('stops the running activity when it is cancelled, and records the end', async () => {
    const stopped: string[] = [];
    const { activities, written } = createFakeActivities({ fitModel: () => beatUntilCancelled(stopped) });
    await server.withWorkers(activities, async () => {
      const handle = await start(`model-${randomUUID()}`);
      await until(() => Promise.resolve(written.calls.includes('fitModel')));
      const { steps } = await handle.query<Progress>('progress');
      expect(steps.find(({ status }) => status === 'running')?.name).toBe('train_new_model');
      await handle.cancel();
      const failure: unknown = await handle.result().catch((error: unknown) => error);
      expect(failure instanceof WorkflowFailedError && failure.cause instanceof CancelledFailure).toBe(true);
    });
    expect(stopped).toEqual(['fitModel']);
    expect(written.ends.at(-1)).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' } });
  });

  it('is joined by a second request for the same model', async () => {
    const { activities } = createFakeActivities();
    await server.withWorkers(activities, async () => {
      const [one, two] = await Promise.all([start('joined'), start('joined')]);
      expect(two.firstExecutionRunId).toBe(one.firstExecutionRunId);
      await one.result();
    });
  });
});

async function beatUntilCancelled(stopped: string[]): Promise<never> {
  const context = Context.current();
  const timer = setInterval(() => context.heartbeat(), 100);
  try {
    return await context.cancelled;
  } finally {
    clearInterval(timer);
    stopped.push('fitModel');
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it never came true');
}

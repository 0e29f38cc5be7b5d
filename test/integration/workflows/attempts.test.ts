import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { z } from 'zod';
import { createAttemptRecorder } from '../../../activities/runtime/attempt-recorder.js';
import { createActivityInterceptor } from '../../../activities/runtime/interceptor.js';
import { createRecordActivities } from '../../../activities/runtime/records.js';
import { PerennialError } from '../../../contracts/errors.js';
import { attemptViewSchema } from '../../../contracts/pipelines/http-attempts.js';
import { pipelineSchema } from '../../../contracts/pipelines/http-pipelines.js';
import { pageOf } from '../../../contracts/http/page.js';
import { retrainingWorkflowId } from '../../../contracts/names.js';
import { createLogger } from '../../../platform/logging.js';
import { createAttemptStore } from '../../../stores/pipelines/attempts.js';
import { createPipelineStore } from '../../../stores/pipelines/pipelines.js';
import type { retrainingPipeline } from '../../../workflows/index.js';
import { poll } from '../../support/api-client.js';
import { hyperparameters } from '../../support/measurements.js';
import { createFakeActivities, type AllActivities } from '../../support/fake-activities.js';
import { problemOf, startApi, type ServedApi } from '../../support/served-api.js';
import { startPostgres, type TestService } from '../../support/services.js';
import { roomyStorage } from '../../support/storage.js';
import { startWorkflowServer, type WorkflowServer } from '../../support/workflow-server.js';

type Attempt = z.output<typeof attemptViewSchema>;

let server: WorkflowServer;
let postgres: TestService;
let served: ServedApi;
beforeAll(async () => {
  [server, postgres] = await Promise.all([startWorkflowServer(), startPostgres()]);
  served = await startApi(postgres.environment);
});
afterAll(async () => {
  await served.stop();
  await Promise.all([server.stop(), postgres.stop()]);
});

const logger = createLogger('worker', 'info', { write: () => undefined });

/** Runs a retraining on activities that succeed unless they are replaced, and gives its id when it has ended. */
async function run(replaced: Partial<AllActivities>, storage = roomyStorage): Promise<string> {
  const { database } = served.api;
  const records = createRecordActivities({ pipelines: createPipelineStore(database) });
  const { activities } = createFakeActivities({ ...records, ...replaced });
  const recording = {
    attempts: createAttemptRecorder(createAttemptStore(database), logger),
    worker: 'worker 1',
    storage,
  };
  const inbound: Parameters<WorkflowServer['withWorkers']>[2] = {
    activity: [(context) => ({ inbound: createActivityInterceptor(context, logger, recording) })],
  };
  return server.withWorkers(
    activities,
    async () => {
      const modelName = `model-${randomUUID()}`;
      const request = { trigger: 'manual', requestId: randomUUID(), source: { kind: 'synthetic' } } as const;
      const handle = await server.client.workflow.start<typeof retrainingPipeline>('retrainingPipeline', {
        workflowId: retrainingWorkflowId(modelName),
        taskQueue: 'pipeline',
        args: [{ ...request, modelName, dataset: 'flowers', hyperparameters }],
      });
      const late = new Promise((_, reject) => setTimeout(reject, 60_000, new Error('the run did not end')).unref());
      await Promise.race([handle.result().catch(() => undefined), late]);
      return handle.firstExecutionRunId;
    },
    inbound,
  );
}

async function attemptsOf(runId: string, limit = 200): Promise<Attempt[]> {
  const found: Attempt[] = [];
  for (let token: string | null = ''; token !== null;) {
    const query = `limit=${limit}${token === '' ? '' : `&page_token=${token}`}`;
    const response = await fetch(`${served.url}/api/v1/pipelines/${runId}/attempts?${query}`);
    expect(response.status).toBe(200);
    const page: { items: Attempt[]; next_page_token: string | null } = pageOf(attemptViewSchema).parse(
      await response.json(),
    );
    found.push(...page.items);
    token = page.next_page_token;
  }
  return found;
}

describe('the attempts of a pipeline', () => {
  it('show each attempt of a step with its error and its log, in order', async () => {
    let tries = 0;
    const fitModel: AllActivities['fitModel'] = async () => {
      tries += 1;
      logger.warn({ epoch: 3 }, `try ${tries}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (tries < 3) throw new PerennialError('trainer_died', `The trainer died in try ${tries}.`);
      return { bestEpoch: 3, epochs: 5, weightsSha256: 'a'.repeat(64) };
    };
    const runId = await run({ fitModel });
    const attempts = await attemptsOf(runId, 7);
    const fits = attempts.filter(({ activity }) => activity === 'fitModel');
    expect(fits.map(({ attempt, status, step, error }) => ({ attempt, status, step, error }))).toEqual([
      ...[1, 2].map((attempt) => ({
        attempt,
        status: 'failed',
        step: 'train_new_model',
        error: { code: 'trainer_died', message: `The trainer died in try ${attempt}.`, retryable: true },
      })),
      { attempt: 3, status: 'completed', step: 'train_new_model', error: null },
    ]);
    expect(fits[0]).toMatchObject({ task_queue: 'training', worker: 'worker 1', dropped_lines: 0 });
    expect(fits[0]?.log).toMatchObject([
      { level: 'warn', message: 'try 1', fields: { epoch: 3 } },
      { level: 'warn', message: 'activity failed', fields: { code: 'trainer_died' } },
    ]);
    expect(fits[2]?.log.map(({ message }) => message)).toEqual(['try 3']);
    const ofTraining = attempts.filter(({ step }) => step === 'train_new_model').map(({ activity }) => activity);
    expect(new Set(ofTraining)).toEqual(new Set(['extractFeatures', 'fitModel', 'packageModel', 'registerModel']));
    expect(attempts.every(({ status }) => status === 'completed' || status === 'failed')).toBe(true);
    expect(attempts[0]).toMatchObject({ activity: 'openPipeline', step: 'start' });
    expect(attempts.at(-1)).toMatchObject({ activity: 'closePipeline', step: 'end' });
    const ofChildren = attempts
      .map(({ activity }) => activity)
      .filter((name) => /^(ext|fit|pack|reg|val|mov)/.test(name));
    const fitted = ['extractFeatures', 'fitModel', 'fitModel', 'fitModel', 'packageModel'];
    expect(ofChildren).toEqual([...fitted, 'registerModel', 'validateCandidate', 'moveProduction']);
  });

  it('show why a step failed permanently, and send a notification', async () => {
    const validateCandidate = (): Promise<never> =>
      Promise.reject(new PerennialError('bundle_invalid', 'The bundle is damaged.'));
    const runId = await run({ validateCandidate });
    const failed = (await attemptsOf(runId)).filter(({ status }) => status === 'failed');
    expect(failed).toMatchObject([
      {
        activity: 'validateCandidate',
        step: 'validate_new_model',
        error: { code: 'bundle_invalid', message: 'The bundle is damaged.', retryable: false },
      },
    ]);
    const told = await served.api.database.query(`SELECT payload FROM outbox WHERE kind = 'pipeline.failed'`);
    expect(told).toMatchObject([
      { payload: { runId, step: 'validate_new_model', error: { code: 'bundle_invalid' }, productionVersion: null } },
    ]);
  });

  it('show one that waits for disk space, in the step of the run too, and one that then completes', async () => {
    let shortage: string | null = 'The disk is full.';
    const storage = { ...roomyStorage, state: () => Promise.resolve({ freeBytes: 0, minFreeBytes: 1, shortage }) };
    const short = await startApi({ ...postgres.environment, MIN_FREE_BYTES: String(2 ** 52) });
    const ended = run({}, storage);
    const runs = pageOf(pipelineSchema);
    const newest = async (): Promise<z.output<typeof pipelineSchema>> => {
      const list = runs.parse(await (await fetch(`${short.url}/api/v1/pipelines?limit=1`)).json());
      const path = `/api/v1/pipelines/${list.items[0]?.id ?? ''}`;
      return pipelineSchema.parse(await (await fetch(`${short.url}${path}`)).json());
    };
    const waiting = await poll(newest, ({ steps }) =>
      steps.some(({ detail }) => detail === 'waits: The disk is full.'),
    );
    const [attempt] = (await attemptsOf(waiting.id)).filter(({ error }) => error !== null);
    expect(attempt).toMatchObject({ status: 'running', attempt: 1, error: { code: 'insufficient_storage' } });
    shortage = null;
    const attempts = await attemptsOf(await ended);
    expect(attempts.every(({ status, error }) => status === 'completed' && error === null)).toBe(true);
    await short.stop();
  });

  it('show one that was cancelled as cancelled', async () => {
    const fitModel = (): Promise<never> => {
      const context = Context.current();
      const beat = setInterval(() => context.heartbeat(), 50);
      const id = context.info.workflowExecution?.workflowId ?? '';
      void server.client.workflow.getHandle(id).cancel();
      return context.cancelled.finally(() => clearInterval(beat));
    };
    const runId = await run({ fitModel });
    const fit = (await attemptsOf(runId)).find(({ activity }) => activity === 'fitModel');
    expect(fit).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' } });
  });

  it('answer 404 for an unknown run', async () => {
    expect(await problemOf(await fetch(`${served.url}/api/v1/pipelines/nowhere/attempts`))).toEqual({
      status: 404,
      code: 'not_found',
    });
  });
});

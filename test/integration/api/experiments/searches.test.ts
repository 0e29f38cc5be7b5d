import { randomUUID } from 'node:crypto';
import { auditRecordViewSchema } from '../../../../contracts/audit/audit.js';
import { acceptedSchema } from '../../../../contracts/workflows/accepted.js';
import { pageOf } from '../../../../contracts/http/page.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { pipelineViewSchema } from '../../../../contracts/pipelines/http-pipelines.js';
import { searchSummaryViewSchema, searchViewSchema } from '../../../../contracts/experiments/http-tuning.js';
import { tuningSteps, tuningWorkflowId } from '../../../../contracts/names.js';
import {
  searchArtifacts,
  searchBudgetSchema,
  searchSpaceSchema,
  tuningInputSchema,
  type TrialInput,
} from '../../../../contracts/experiments/tuning.js';
import { searchArtifactKey } from '../../../../stores/objects/object-keys.js';
import { createPipelineStore } from '../../../../stores/pipelines/pipelines.js';
import { createSearchStore } from '../../../../stores/experiments/searches.js';
import { createTrialStore } from '../../../../stores/experiments/trials.js';
import { createRequests } from '../../../support/requests.js';
import { commitImages } from '../../../support/dataset-version.js';
import { evaluationOf, hyperparameters } from '../../../support/measurements.js';
import { problemOf, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, startTemporal, type TestService } from '../../../support/services.js';

let services: TestService[];
let served: ServedApi;
beforeAll(async () => {
  const [postgres, objects, temporal] = await Promise.all([startPostgres(), startObjectStore(), startTemporal()]);
  services = [postgres, objects, temporal];
  served = await startApi({ ...postgres.environment, ...objects.environment, ...temporal.environment });
  await commitImages(served.api.database, 'flowers', { a: [1, 2, 3], b: [4, 5, 6] });
});
afterAll(async () => {
  await served.stop();
  await Promise.all(services.map((service) => service.stop()));
});

const { ask, answer, problem } = createRequests(() => served.url);
const start = (body: unknown): Promise<Response> => ask('/api/v1/pipelines/tuning', { method: 'POST', body });

/** A search with two trials in the database, as the workers write it. */
async function recordSearch(): Promise<string> {
  const db = served.api.database;
  const runId = randomUUID();
  const named = { workflowId: 'tune-rose', workflow: 'tuneModel', trigger: 'manual', modelName: 'rose' };
  await createPipelineStore(db).open({ runId, ...named, dataset: 'flowers', steps: tuningSteps });
  const search = { datasetVersion: 1, space: searchSpaceSchema.parse({}), budget: searchBudgetSchema.parse({}) };
  await createSearchStore(db).open({ runId, ...search, plannedTrials: 50 });
  const trials = createTrialStore(db);
  const inputOf = (number: number): TrialInput => {
    const trial = { number, hyperparameters };
    return { searchId: runId, modelName: 'rose', dataset: 'flowers', datasetVersion: 1, trial, rung: 1, epochs: 4 };
  };
  const score = { epochs: 4, bestEpoch: 3, loss: 0.25, accuracy: 0.9, trained: [], durationMs: 10 };
  const place = { workflowId: 'a', codeRevision: 'b' };
  await trials.recordRung(inputOf(1), { ...place, attempt: 1 }, score);
  await trials.recordFailure(inputOf(2), place, { code: 'training_diverged', message: 'It diverged.' });
  await createSearchStore(db).setBest(runId, 1);
  return runId;
}

describe('starting a search', () => {
  it('answers 202, joins a running search, and passes the request on to the workflow', async () => {
    const body = {
      model_name: 'rose',
      dataset: 'flowers',
      space: { learning_rate: { min: 0.001, max: 0.01 }, architecture: ['cnn'], filters: [[2, 4, 8]] },
      budget: { trials: 7, max_epochs: 9 },
    };
    const responses = [await start(body), await start(body)];
    expect(responses.map(({ status }) => status)).toEqual([202, 202]);
    const [first, second] = await Promise.all(responses.map(async (each) => acceptedSchema.parse(await each.json())));
    expect(first).toMatchObject({ workflow_id: tuningWorkflowId('rose'), joined: false });
    expect(second).toMatchObject({ run_id: first?.run_id, joined: true });
    const other = await start({ ...body, dataset: 'other_flowers' });
    expect(await problemOf(other)).toEqual({ status: 409, code: 'run_in_progress' });
    expect(await problemOf(await start({ ...body, budget: { trials: 8 } }))).toMatchObject({ code: 'run_in_progress' });
    const history = await served.api.temporal.use((client) =>
      client.workflow.getHandle(tuningWorkflowId('rose')).fetchHistory(),
    );
    const sent = history.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
    const input = tuningInputSchema.parse(JSON.parse(Buffer.from(sent ?? []).toString()));
    expect(input).toMatchObject({
      modelName: 'rose',
      space: {
        learningRate: { min: 0.001, max: 0.01 },
        architecture: ['cnn'],
        filters: [[2, 4, 8]],
        batchSize: [16, 32, 64],
      },
      budget: { trials: 7, maxEpochs: 9, reductionFactor: 3 },
    });
    const pipeline = await answer(pipelineViewSchema, `/api/v1/pipelines/${first?.run_id ?? ''}`);
    expect(pipeline).toMatchObject({ workflow: 'tuneModel', steps: tuningSteps.map((name) => ({ name })) });
    const audit = await answer(pageOf(auditRecordViewSchema), `/api/v1/audit?subject=pipelines/${first?.run_id ?? ''}`);
    expect(audit.items).toMatchObject([{ action: 'pipeline.start', actor: 'ada' }]);
  });

  it('uses the defaults without a body', async () => {
    expect((await start({ model_name: 'lily' })).status).toBe(202);
  });

  it.each([
    [{ budget: { trials: 0 } }, '#/budget/trials'],
    [{ budget: { trials: 501 } }, '#/budget/trials'],
    [{ budget: { minutes: 0 } }, '#/budget/minutes'],
    [{ budget: { reduction_factor: 1 } }, '#/budget/reduction_factor'],
    [{ budget: { min_epochs: 9, max_epochs: 3 } }, '#/budget/min_epochs'],
    [{ space: { learning_rate: { min: 0.1, max: 0.01 } } }, '#/space/learning_rate/min'],
    [{ space: { weight_decay: { min: 0, max: 0.01 } } }, '#/space/weight_decay/min'],
    [{ space: { batch_size: [] } }, '#/space/batch_size'],
    [{ space: { architecture: ['resnet'] } }, '#/space/architecture/0'],
    [{ space: { filters: [[1, 2]] } }, '#/space/filters/0'],
    [{ space: { dropout: [0.5] } }, '#/space'],
    [{ model_name: 'No Name' }, '#/model_name'],
  ])('refuses %j and points at it', async (body, pointer) => {
    const response = await start(body);
    expect(response.status).toBe(400);
    const { errors } = problemSchema.parse(await response.json());
    expect(errors?.map((each) => each.pointer)).toContain(pointer);
  });
});

describe('searches', () => {
  it('are shown with their trials, the best one, and the used part of the budget', async () => {
    const runId = await recordSearch();
    expect(await answer(searchViewSchema, `/api/v1/searches/${runId}`)).toMatchObject({
      run_id: runId,
      model_name: 'rose',
      status: 'running',
      used: { trials: 2, of_trials: 50, epochs: 0 },
      best: { number: 1, rungs: [{ rung: 1, epochs: 4, best_epoch: 3, loss: 0.25, accuracy: 0.9 }] },
      trials: [
        { number: 1, status: 'running' },
        { number: 2, status: 'failed', error: { code: 'training_diverged', message: 'It diverged.' } },
      ],
    });
    const page = await answer(pageOf(searchSummaryViewSchema), '/api/v1/searches?model=rose&limit=1');
    expect(page.items).toMatchObject([{ run_id: runId, best_trial: 1 }]);
    expect((await answer(pageOf(searchSummaryViewSchema), '/api/v1/searches?model=nobody')).items).toEqual([]);
  });

  it('have a chart and a table once a rung is done', async () => {
    const runId = await recordSearch();
    const early = await problem(`/api/v1/searches/${runId}/chart.svg`);
    expect(early).toMatchObject({ status: 404 });
    expect(early.detail).toContain('first rung');
    await served.api.objects.put(searchArtifactKey(runId, searchArtifacts.chart), Buffer.from('<svg></svg>'));
    await served.api.objects.put(searchArtifactKey(runId, searchArtifacts.table), Buffer.from('| trial |'));
    const chart = await ask(`/api/v1/searches/${runId}/chart.svg`);
    expect([chart.headers.get('content-type'), await chart.text()]).toEqual([
      'image/svg+xml; charset=utf-8',
      '<svg></svg>',
    ]);
    const table = await ask(`/api/v1/searches/${runId}/table.md`);
    expect([table.headers.get('content-type'), await table.text()]).toEqual([
      'text/markdown; charset=utf-8',
      '| trial |',
    ]);
  });

  it('that do not exist are not found', async () => {
    for (const path of ['', '/chart.svg', '/table.md']) {
      expect(await problem(`/api/v1/searches/nothing${path}`)).toMatchObject({ status: 404, code: 'not_found' });
    }
    expect(await problem('/api/v1/searches?page_token=x')).toMatchObject({ status: 400 });
  });

  it('show their result once they have ended', async () => {
    const runId = await recordSearch();
    await createPipelineStore(served.api.database).close(runId, {
      status: 'completed',
      result: {
        summary: 'trial 1 of 2 is the best',
        modelName: 'rose',
        dataset: 'flowers',
        datasetVersion: 1,
        trials: 2,
        failed: 1,
        best: { number: 1, hyperparameters, loss: 0.25, accuracy: 0.9 },
        version: 3,
        runId: 'r',
        test: evaluationOf(0.95),
      },
    });
    const { result } = await answer(pipelineViewSchema, `/api/v1/pipelines/${runId}`);
    expect(result).toMatchObject({
      best: { number: 1, hyperparameters: { learning_rate: 0.003 } },
      version: '3',
      test_accuracy: 0.95,
    });
  });
});

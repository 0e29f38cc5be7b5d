import { randomUUID } from 'node:crypto';
import { pageOf } from '../../../../contracts/http/page.js';
import { pipelineViewSchema } from '../../../../contracts/pipelines/http-pipelines.js';
import {
  datasetSummaryViewSchema,
  datasetVersionViewSchema,
  datasetViewSchema,
} from '../../../../contracts/datasets/http-datasets.js';
import { modelVersionViewSchema } from '../../../../contracts/registry/http-versions.js';
import { retrainingSteps, workflowTypes } from '../../../../contracts/names.js';
import type { RetrainingResult } from '../../../../contracts/retraining/retraining-pipeline.js';
import type { Decision } from '../../../../contracts/registry/registry.js';
import { nextSemanticVersion } from '../../../../domain/registry/semantic-version.js';
import { planVersion } from '../../../../domain/datasets/plan-version.js';
import { createDatasetCommits } from '../../../../stores/datasets/dataset-commits.js';
import { createIngestionStore } from '../../../../stores/datasets/ingestions.js';
import { createPipelineStore } from '../../../../stores/pipelines/pipelines.js';
import { factsOf } from '../../../support/dataset-version.js';
import { evaluationOf } from '../../../support/measurements.js';
import { startApi, type ServedApi } from '../../../support/served-api.js';
import { startPostgres, type TestService } from '../../../support/services.js';

const decision: Decision = {
  outcome: 'promote',
  summary: 'better',
  reasons: [{ check: 'minimum_accuracy', passed: true, detail: '0.9 ≥ 0.8' }],
  comparison: {
    productionVersion: 1,
    images: 20,
    candidateAccuracy: 0.9,
    productionAccuracy: 0.8,
    difference: 0.1,
    interval: [0, 0.2],
    onlyCandidateRight: 2,
    onlyProductionRight: 0,
    mcnemarPValue: 0.5,
  },
};

/** All rows of the database as HTTP shows them: every field, in snake case. */
describe('the database over HTTP', () => {
  let postgres: TestService;
  let served: ServedApi;
  beforeAll(async () => {
    postgres = await startPostgres();
    served = await startApi(postgres.environment);
  });
  afterAll(async () => {
    await served.stop();
    await postgres.stop();
  });

  const ask = async (path: string): Promise<unknown> => {
    const response = await fetch(served.url + path);
    expect(response.status).toBe(200);
    const body: unknown = await response.json();
    expect(keysOf(body).filter((key) => /[a-z][A-Z]/.test(key))).toEqual([]);
    return body;
  };

  it('shows a dataset, its versions, and which files were refused and why', async () => {
    const { database } = served.api;
    const ingestions = createIngestionStore(database);
    const id = randomUUID();
    await ingestions.open({
      id,
      dataset: 'flowers',
      kind: 'folder',
      locator: '/photographs',
      isDefault: false,
      note: null,
    });
    const good = [1, 2, 3, 4].flatMap((number) =>
      ['A daisy', 'grass'].map((label, index) => ({ number: number * 2 + index, label })),
    );
    const files = good.map(({ number, label }) => ({ path: `${label}/${number}.jpg`, label, facts: factsOf(number) }));
    const twins = ['A daisy', 'grass'].map((label) => ({ path: `${label}/twin.jpg`, label, facts: factsOf(99) }));
    const all = [...files, ...twins];
    await ingestions.restartScan(id, 1);
    await ingestions.addFiles(id, 1, [...all, { path: 'grass/notes.jpg', label: 'grass' }]);
    await ingestions.settle(
      id,
      [
        ...all.map(({ path, facts }) => ({ path, sha256: facts.sha256, uploadedBytes: null })),
        { path: 'grass/notes.jpg', reason: 'unsupported_type' as const, detail: 'This is text.' },
      ],
      all.map(({ facts }) => facts),
    );
    await createDatasetCommits(database).commit(id, planVersion);

    const page = pageOf(datasetSummaryViewSchema).parse(await ask('/api/v1/datasets'));
    expect(page.items).toMatchObject([
      { name: 'flowers', current_version: 1, versions: 1, images: 8, classes: { 'A daisy': 4 } },
    ]);
    expect(datasetViewSchema.parse(await ask('/api/v1/datasets/flowers'))).toMatchObject({
      sources: [{ kind: 'folder', locator: '/photographs' }],
      history: [{ version: 1 }],
    });
    const version = datasetVersionViewSchema.parse(await ask('/api/v1/datasets/flowers/versions/1'));
    expect(version).toMatchObject({
      statistics: {
        images: 8,
        classes: { 'A daisy': 4, grass: 4 },
        imbalance_ratio: 1,
        quarantined: { unsupported_type: 1 },
      },
      quarantined: [{ path: 'grass/notes.jpg', reason: 'unsupported_type', detail: 'This is text.' }],
      conflicts: [{ sha256: factsOf(99).sha256, labels: ['A daisy', 'grass'] }],
    });
  });

  it('shows model versions newest first with their decision', async () => {
    for (const runId of ['run-1', 'run-2']) {
      await served.registry.register({
        modelName: 'shown',
        runId,
        architecture: 'cnn',
        labels: ['dandelion', 'grass'],
        dataset: 'flowers',
        datasetVersion: 1,
        datasetDigest: 'd',
        bundleKey: 'models/shown/x',
        bundleSha256: 'e'.repeat(64),
        sizeBytes: 10,
        semanticVersion: nextSemanticVersion,
        evaluation: evaluationOf(0.9),
      });
    }
    await served.registry.recordDecision('shown', 2, decision);
    const path = '/api/v1/mlops/models/shown/versions';
    const { items } = pageOf(modelVersionViewSchema).parse(await ask(path));
    expect(items.map(({ version, run_id }) => [version, run_id])).toEqual([
      ['2', 'run-2'],
      ['1', 'run-1'],
    ]);
    expect(items[0]).toMatchObject({
      stage: 'Staging',
      metrics: { roc_auc: 0.9, intervals: { calibration_error: [0, 0.1] } },
      decision: { outcome: 'promote', comparison: { production_version: '1', mcnemar_p_value: 0.5 } },
    });
    const first = pageOf(modelVersionViewSchema).parse(await ask(`${path}?limit=1`));
    const second = pageOf(modelVersionViewSchema).parse(
      await ask(`${path}?limit=1&page_token=${first.next_page_token ?? ''}`),
    );
    expect([first.items[0]?.version, second.items[0]?.version, second.next_page_token]).toEqual(['2', '1', null]);
  });

  it('shows the result of a run that was completed', async () => {
    const pipelines = createPipelineStore(served.api.database);
    const runId = randomUUID();
    const result: RetrainingResult = {
      outcome: 'promoted',
      summary: 'better',
      modelName: 'shown',
      version: 2,
      runId: 'run-2',
      dataset: 'flowers',
      datasetVersion: 1,
      test: evaluationOf(0.9),
      decision,
    };
    const workflow = workflowTypes.retrainingPipeline;
    const run = {
      runId,
      workflowId: 'retrain-shown',
      workflow,
      trigger: 'manual',
      modelName: 'shown',
      dataset: 'flowers',
    };
    await pipelines.open({ ...run, steps: retrainingSteps });
    await pipelines.close(runId, { status: 'completed', result });
    expect(pipelineViewSchema.parse(await ask(`/api/v1/pipelines/${runId}`))).toMatchObject({
      status: 'completed',
      result: {
        outcome: 'promoted',
        model_name: 'shown',
        version: '2',
        test: { roc_auc: 0.9 },
        decision: { outcome: 'promote' },
      },
    });
  });
});

/** Every key of every object in a JSON value. */
function keysOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = Array.isArray(value) ? [] : Object.keys(value);
  return [...own, ...Object.values(value).flatMap(keysOf)];
}

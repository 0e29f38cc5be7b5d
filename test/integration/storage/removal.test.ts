import { randomUUID } from 'node:crypto';
import { predictionSchema } from '../../../contracts/inference/http-predict.js';
import { lineageViewSchema } from '../../../contracts/predictions/http-predictions.js';
import { currentPreprocessing } from '../../../contracts/registry/bundle.js';
import type { ModelVersion } from '../../../contracts/registry/registry.js';
import { fetchImages } from '../../../activities/training/inputs.js';
import {
  batchResultKey,
  checkpointKey,
  runArtifactKey,
  searchArtifactKey,
  uploadKey,
} from '../../../stores/objects/object-keys.js';
import { createFeatureStore } from '../../../stores/features/features.js';
import { checkBundle } from '../../../stores/registry/bundles.js';
import { poll } from '../../support/api-client.js';
import { startLineageFixture, type LineageFixture } from '../../support/lineage-fixture.js';
import { foreignKeys, keysOf, orphanDependencies, orphanKeys, plant, sweep } from '../../support/removal-fixture.js';
import { hyperparameters } from '../../support/measurements.js';
import { formWith, redImage } from '../../support/served-api.js';
import { withFolder } from '../../support/training-fixtures.js';

const dataset = 'flowers';

describe('removal of unreferenced objects', () => {
  let fixture: LineageFixture;
  let version: ModelVersion;
  let predictionId: string;
  let jobId: string;
  let planted: string[];
  let before: string[];

  beforeAll(async () => {
    fixture = await startLineageFixture();
    version = await fixture.train(dataset, { dandelion: 8, grass: 8 });
    // A second version of the dataset shares most images with the first.
    await fixture.train('more', { dandelion: 10, grass: 8 });
    predictionId = await predictAndCapture();
    jobId = await storeBatchResult();
    await storeOtherReferences();
    // References must protect by themselves, not the claims of the uploads a moment ago.
    await db().query('DELETE FROM object_claims');
    before = await keysOf(objects());
    planted = orphanKeys({ jobId, dataset, model: version.modelName }).sort();
    await plant(objects(), [...planted, ...foreignKeys]);
  });
  afterAll(() => fixture.stop());

  const db = (): LineageFixture['ingestion']['database']['db'] => fixture.ingestion.database.db;
  const objects = (): LineageFixture['ingestion']['deps']['objects'] => fixture.served.api.objects;
  const get = (path: string): Promise<Response> => fetch(fixture.served.url + path);
  const remove = (dryRun = false): ReturnType<typeof sweep> => sweep(orphanDependencies(db(), objects()), dryRun);

  it('keeps all young objects', async () => {
    expect(await sweep({ ...orphanDependencies(db(), objects()), now: () => new Date() })).toEqual([]);
    expect(await keysOf(objects())).toEqual([...before, ...planted, ...foreignKeys].sort());
  });

  it('only counts in a dry run', async () => {
    const counts = await remove(true);
    expect(counts.reduce((sum, count) => sum + count.objects, 0)).toBe(planted.length);
    expect(await keysOf(objects())).toEqual([...before, ...planted, ...foreignKeys].sort());
  });

  it('removes every old orphan of every kind, and nothing that is referenced or of somebody else', async () => {
    const counts = await remove();
    expect(Object.fromEntries(counts.map(({ kind, objects: count, bytes }) => [kind, [count, bytes]]))).toEqual({
      ...{ datasets: [4, 4], features: [1, 1], checkpoints: [1, 1], bundles: [2, 2], artifacts: [2, 2] },
      ...{ predictions: [4, 4], uploads: [2, 2] },
    });
    const left = await keysOf(objects());
    expect(planted.filter((key) => left.includes(key))).toEqual([]);
    expect(before.filter((key) => !left.includes(key))).toEqual([]);
    expect(left).toEqual([...before, ...foreignKeys].sort());
    expect(await remove()).toEqual([]);
  });

  it('leaves a product that predicts, and whose prediction leads to its origin', async () => {
    const answer = await fetch(`${fixture.served.url}/predict`, {
      method: 'POST',
      body: formWith('file', await redImage()),
    });
    expect(answer.status).toBe(200);
    expect((await get(`/api/v1/predictions/${predictionId}/input`)).status).toBe(200);
    const lineage = lineageViewSchema.parse(
      await (await get(`/api/v1/predictions/${predictionId}/lineage?verify=true`)).json(),
    );
    expect(new Set(lineage.edges.map(({ state }) => state))).toEqual(new Set(['verified']));
    expect((await get(`/api/v1/batch-predictions/${jobId}/results.csv`)).status).toBe(200);
    expect(await checkBundle(objects(), version)).toMatchObject({ failed: [] });
  });

  it('leaves what the next training reads: images and embeddings', async () => {
    const examples = await fixture.ingestion.datasets.examples(dataset, 1);
    const sha256s = examples.map(({ sha256 }) => sha256);
    const signal = new AbortController().signal;
    await withFolder(async (folder) => {
      const deps = { objects: objects(), datasets: fixture.ingestion.datasets };
      expect(await fetchImages(deps, sha256s, folder, signal)).toHaveLength(16);
    });
    for (const { objectKey } of await createFeatureStore(db()).locate(
      { backbone: 'b'.repeat(64), preprocessing: currentPreprocessing, runtime: 'ort' },
      sha256s,
    )) {
      expect(await objects().head(objectKey)).not.toBeNull();
    }
  });

  it('removes what a row no longer refers to', async () => {
    await db().query('DELETE FROM artifacts');
    await db().query(`UPDATE uploads SET discarded_at = now()`);
    await db().query(`UPDATE batch_predictions SET erased_at = now(), results = '[]'`);
    const counts = await remove();
    expect(counts.map(({ kind, objects: count }) => [kind, count]).sort()).toEqual([
      ['artifacts', 1],
      ['predictions', 1],
      ['uploads', 1],
    ]);
  });

  async function predictAndCapture(): Promise<string> {
    await fetch(`${fixture.served.url}/api/v1/mlops/models/${version.modelName}/policy`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ serving: { keep_inputs: 'all' } }),
    });
    await poll(
      () => Promise.resolve(fixture.served.host.current()?.serving.keepInputs),
      (capture) => capture === 'all',
    );
    const answer = await fetch(`${fixture.served.url}/predict`, {
      method: 'POST',
      body: formWith('file', await redImage()),
    });
    const { prediction_id } = predictionSchema.parse(await answer.json());
    const { predictionLog } = fixture.served.api.predictions;
    await poll(
      () => get(`/api/v1/predictions/${prediction_id}/input`),
      ({ status }) => status === 200,
    );
    await predictionLog.flush();
    return prediction_id;
  }

  /** A job that has ended with a result as CSV. */
  async function storeBatchResult(): Promise<string> {
    const id = randomUUID();
    const jobs = fixture.served.api.stores.batchPredictions;
    const source = { kind: 'prefix' as const, prefix: 'incoming/' };
    const { modelName } = version;
    const order = { modelName, version: version.version, labels: ['grass'], targetRisk: 1, formats: ['csv' as const] };
    const by = { name: 'ada', via: 'rest', from: 'here', requestId: null } as const;
    await jobs.open({ id, workflowId: id, request: {}, order: { ...order, source }, by });
    const objectKey = batchResultKey(id, 'csv');
    await plant(objects(), [objectKey]);
    await jobs.setResults(id, [{ format: 'csv', objectKey, sha256: 'a'.repeat(64), sizeBytes: 1 }]);
    await jobs.close(id, { status: 'completed', error: null });
    return id;
  }

  /** An open run with objects of its own, a recorded artefact, a search and an upload. */
  async function storeOtherReferences(): Promise<void> {
    const [runId, uploadId, searchId] = [randomUUID(), randomUUID(), randomUUID()];
    const { runs } = fixture.served.api.stores;
    const run = { runId, modelName: 'other', dataset, datasetVersion: 1, hyperparameters };
    await runs.open({ ...run, workflowId: 'train-other', codeRevision: 'abc' }, 1);
    await db().query(`INSERT INTO uploads (id, dataset, label) VALUES ($1, $2, 'grass')`, [uploadId, dataset]);
    await db().query(
      `INSERT INTO pipelines (run_id, workflow_id, workflow, trigger) VALUES ($1, 'tune-m', 'tuneModel', 'manual')`,
      [searchId],
    );
    await db().query(
      `INSERT INTO searches (run_id, dataset_version, space, budget, planned_trials) VALUES ($1, 1, '{}', '{}', 1)`,
      [searchId],
    );
    const [completed] = await db().query(`SELECT run_id FROM runs WHERE status = 'completed' LIMIT 1`);
    const recorded = runArtifactKey(String(completed?.['runId']), 'curves.svg');
    await db().query(
      `INSERT INTO artifacts (run_id, name, object_key, sha256, size_bytes) VALUES ($1, 'curves.svg', $2, $3, 1)`,
      [completed?.['runId'], recorded, '0'.repeat(64)],
    );
    await plant(objects(), [
      recorded,
      checkpointKey(runId, 1, 1),
      runArtifactKey(runId, 'curves.svg'),
      `models/other/${'ef'.repeat(8)}/manifest.json`,
      searchArtifactKey(searchId, 'search.svg'),
      uploadKey(uploadId, 0),
    ]);
  }
});

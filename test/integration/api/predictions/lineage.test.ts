import { z } from 'zod';
import { bundleFiles } from '../../../../contracts/registry/bundle.js';
import { predictionSchema } from '../../../../contracts/inference/http-predict.js';
import { pageOf } from '../../../../contracts/http/page.js';
import { lineageImageViewSchema, lineageViewSchema } from '../../../../contracts/predictions/http-predictions.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { formWith, problemOf, redImage, serves } from '../../../support/served-api.js';
import { startLineageFixture, type LineageFixture } from '../../../support/lineage-fixture.js';
import { predictionOf } from '../../../support/fake-model.js';
import { curator } from '../../../support/registry-records.js';

type LineageView = z.infer<typeof lineageViewSchema>;

describe('lineage', () => {
  let lineage: LineageFixture;
  let version: ModelVersion;
  let image: Uint8Array;
  beforeAll(async () => {
    lineage = await startLineageFixture();
    version = await lineage.train('flowers', { dandelion: 8, grass: 8 });
    image = await redImage();
  });
  afterAll(() => lineage.stop());

  const get = (path: string): Promise<Response> => fetch(lineage.served.url + path);
  const predict = async (): Promise<string> => {
    const response = await fetch(`${lineage.served.url}/predict`, { method: 'POST', body: formWith('file', image) });
    return predictionSchema.parse(await response.json()).prediction_id;
  };
  const lineageOf = async (id: string, verify = 'true'): Promise<LineageView> => {
    const response = await get(`/api/v1/predictions/${id}/lineage?verify=${verify}`);
    return lineageViewSchema.parse(await response.json());
  };
  const states = ({ edges }: LineageView): Record<string, string> =>
    Object.fromEntries(edges.map(({ relation, state }) => [relation, state]));

  it('leads from a prediction to version, bundle, run, workflow, code, dataset, images, embeddings and promotion', async () => {
    const id = await predict();
    const { nodes, edges, verified } = await lineageOf(id, 'false');
    expect(verified).toBe(false);
    expect(new Set(edges.map(({ state }) => state))).toEqual(new Set(['recorded']));
    expect(nodes.map(({ kind }) => kind).sort()).toEqual(
      [
        'prediction',
        'model_version',
        'bundle',
        'training_run',
        'workflow',
        'code',
        'dataset_version',
        'images',
        'feature_file',
        'promotion',
      ].sort(),
    );
    const attributes = Object.fromEntries(nodes.map(({ kind, attributes: of }) => [kind, of]));
    expect(attributes['bundle']).toEqual({ bundle_key: version.bundleKey, sha256: version.bundleSha256 });
    expect(attributes['training_run']).toMatchObject({ status: 'completed', parameters: { seed: 42 } });
    expect(attributes['dataset_version']).toMatchObject({ digest: version.datasetDigest });
    expect(attributes['images']).toMatchObject({ images: 16, erased: 0 });
    expect(attributes['promotion']).toMatchObject({ kind: 'promotion', reason: 'test', former_version: null });
    const known = new Set(nodes.map((node) => node.id));
    expect(edges.filter(({ from, to }) => !known.has(from) || !known.has(to))).toEqual([]);
  });

  it('verifies every edge of fifty out of a thousand predictions', async () => {
    const served = lineage.served.host.current();
    if (!served) throw new Error('nothing is served');
    const { predictionLog } = lineage.served.api.predictions;
    const prediction = predictionOf([0.9, 0.1], served.engine.labels);
    const facts = { prediction, abstained: false, imageSha256: null, latencyMs: 1, route: 'predict' } as const;
    const ids = Array.from({ length: 1_000 }, () => predictionLog.keep(served, facts));
    const chosen = Array.from({ length: 50 }, (_, index) => ids[index * 20 + Math.floor(Math.random() * 20)] ?? '');
    for (const id of chosen) {
      const { verified, edges } = await lineageOf(id);
      expect(edges.filter(({ state }) => state !== 'verified')).toEqual([]);
      expect(verified).toBe(true);
    }
  });

  it('reports how many images it checked, of a sample or of all', async () => {
    const id = await predict();
    const of = (view: LineageView, relation: string): unknown =>
      view.edges.find((edge) => edge.relation === relation)?.figures;
    const full = await lineageOf(id, 'full');
    expect(of(full, 'consists_of')).toEqual({ images: 16, checked: 16, erased: 0, failed: 0 });
    expect(of(full, 'packaged_as')).toMatchObject({ files: 10, failed: 0 });
    expect(of(full, 'trained_on')).toEqual({ images: 16 });
    expect(of(full, 'read_features')).toMatchObject({ images: 16 });
  });

  it('pages through the images', async () => {
    const id = await predict();
    const path = `/api/v1/predictions/${id}/lineage/images`;
    const seen: string[] = [];
    for (let token: string | null = ''; token !== null;) {
      const response = await get(`${path}?limit=7${token === '' ? '' : `&page_token=${token}`}`);
      const page = pageOf(lineageImageViewSchema).parse(await response.json());
      seen.push(...page.items.map(({ sha256 }) => sha256));
      token = page.next_page_token;
    }
    expect(seen).toHaveLength(16);
    expect(new Set(seen).size).toBe(16);
    expect((await get(`${path}?page_token=../..`)).status).toBe(400);
  });

  it.each<[string, () => Promise<string>, string]>([
    ['the model', () => Promise.resolve(`${version.bundleKey}/${bundleFiles.onnx}`), 'packaged_as'],
    ['the manifest', () => Promise.resolve(`${version.bundleKey}/${bundleFiles.manifest}`), 'packaged_as'],
    ['the embeddings', () => keyFrom('SELECT object_key FROM feature_files'), 'read_features'],
    ['an image', () => keyFrom('SELECT object_key FROM images LIMIT 1'), 'consists_of'],
  ])('shows a flipped byte in %s', async (_what, keyOf, relation) => {
    const id = await predict();
    const { objects } = lineage.served.api;
    const key = await keyOf();
    const bytes = await objects.get(key);
    const flipped = Uint8Array.from(bytes);
    const middle = Math.floor(bytes.length / 2);
    flipped[middle] = (flipped[middle] ?? 0) ^ 1;
    await objects.put(key, flipped);
    const damaged = await lineageOf(id);
    expect(states(damaged)).toMatchObject({ [relation]: 'failed', made_by: 'verified' });
    expect(damaged.verified).toBe(false);
    await objects.delete(key);
    expect(states(await lineageOf(id))).toMatchObject({ [relation]: 'failed' });
    await objects.put(key, bytes);
    expect((await lineageOf(id)).verified).toBe(true);
  });

  it('shows an example that was changed in the database', async () => {
    const id = await predict();
    const { database } = lineage.served.api;
    const relabel = (from: string, to: string): Promise<unknown> =>
      database.query(
        `UPDATE dataset_examples SET label = $2 WHERE sha256 = (SELECT min(sha256) FROM dataset_examples) AND label = $1
         RETURNING label`,
        [from, to],
      );
    const [{ label } = { label: '' }] = await database.rows(
      z.object({ label: z.string() }),
      'SELECT label FROM dataset_examples ORDER BY sha256 LIMIT 1',
    );
    await relabel(label, 'rose');
    expect(states(await lineageOf(id))).toMatchObject({ trained_on: 'failed', consists_of: 'verified' });
    await relabel('rose', label);
    expect(states(await lineageOf(id))).toMatchObject({ trained_on: 'verified' });
  });

  it('names who approved', async () => {
    const id = await predict();
    const { database } = lineage.served.api;
    await database.query(
      `INSERT INTO approvals (idempotency_key, model_name, version, workflow_id, pipeline_run_id, requested_by, summary,
         outcome, on_expiry, expires_at, decided_by, decided_at)
       SELECT idempotency_key, model_name, version, 'w', 'r', 'ada', 's', 'approved', 'reject', now(), 'grace', now()
       FROM promotions`,
    );
    const { nodes, edges } = await lineageOf(id);
    expect(nodes.find(({ kind }) => kind === 'approval')).toMatchObject({
      name: 'approved by grace',
      attributes: { outcome: 'approved', decided_by: 'grace' },
    });
    expect(edges.find(({ relation }) => relation === 'approved_by')?.state).toBe('verified');
  });

  it('reports what the database lacks, and what is unknown about an imported model', async () => {
    const { served } = lineage;
    const foreign = await served.registerTiny({ bias: 0.5 });
    await served.promote(foreign);
    await serves(served, foreign);
    const id = await predict();
    expect(states(await lineageOf(id, 'false'))).toMatchObject({
      made_by: 'recorded',
      trained_by: 'failed',
      trained_on: 'failed',
    });
    await served.api.database.query(`UPDATE model_versions SET origin = 'uploaded' WHERE version = $1`, [
      foreign.version,
    ]);
    const view = await lineageOf(id);
    expect(states(view)).toMatchObject({ packaged_as: 'verified', imported_by: 'failed', evaluated_on: 'failed' });
    expect(view.edges.find(({ relation }) => relation === 'imported_by')?.detail).toContain(foreign.runId);
    await lineage.trainOn('flowers');
  });

  it('cannot be verified while the object store is unavailable, and is still shown', async () => {
    const id = await predict();
    await lineage.ingestion.objectServer.pause();
    try {
      const path = `/api/v1/predictions/${id}/lineage`;
      expect(await problemOf(await get(`${path}?verify=true`))).toEqual({
        status: 503,
        code: 'object_store_unavailable',
      });
      expect((await get(path)).status).toBe(200);
    } finally {
      await lineage.ingestion.objectServer.resume();
    }
  });

  it('answers 404 for an unknown prediction', async () => {
    const id = '01a1fdc8-0c1d-7000-913c-6582be31a915';
    expect(await problemOf(await get(`/api/v1/predictions/${id}/lineage`))).toMatchObject({ status: 404 });
    expect(await problemOf(await get('/api/v1/predictions/..%2F..%2Fx/lineage'))).toMatchObject({ status: 400 });
    expect(await problemOf(await get(`/api/v1/predictions/${id}/lineage?verify=maybe`))).toMatchObject({ status: 400 });
  });

  async function keyFrom(sql: string): Promise<string> {
    const row = await lineage.served.api.database.row(z.object({ objectKey: z.string() }), sql);
    return row?.objectKey ?? '';
  }

  it('verifies after rollbacks by a person and by the guard, and after the version was promoted again', async () => {
    const { served } = lineage;
    const first = await lineage.trainOn('flowers');
    const second = await lineage.trainOn('flowers');
    const rolledBack = await fetch(`${served.url}/api/v1/mlops/models/${version.modelName}/rollback`, {
      ...{ method: 'POST', body: JSON.stringify({ reason: 'worse' }) },
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'lineage-back' },
    });
    expect(rolledBack.status).toBe(200);
    const expectVerified = async (serving: ModelVersion, kind: string, former: string | null): Promise<void> => {
      await serves(served, serving);
      const view = await lineageOf(await predict());
      expect(view.edges.filter(({ state }) => state !== 'verified')).toEqual([]);
      expect(view.verified).toBe(true);
      const change = view.nodes.find((node) => node.kind === 'promotion');
      expect(change?.attributes).toMatchObject({ kind, former_version: former });
    };
    await expectVerified(first, 'rollback', String(second.version));
    await served.registry.setStage(
      version.modelName,
      second.version,
      { stage: 'Staging', reason: 'again' },
      { by: curator, ifRevision: null },
    );
    const { idempotencyKey } = await served.promote(second);
    await expectVerified(second, 'promotion', String(first.version));
    await served.registry.revertPromotion({ idempotencyKey, by: { ...curator, name: 'guard' }, reason: 'breach' });
    await expectVerified(first, 'rollback', String(second.version));
  });
});

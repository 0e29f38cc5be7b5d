import { z } from 'zod';
import { predictionSchema } from '../../../../contracts/inference/http-predict.js';
import { pageOf } from '../../../../contracts/http/page.js';
import {
  erasureViewSchema,
  lineageViewSchema,
  predictionDetailViewSchema,
} from '../../../../contracts/predictions/http-predictions.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { createAuditStore } from '../../../../stores/audit/audit.js';
import { rawImageKey } from '../../../../stores/objects/object-keys.js';
import { unlessMissing } from '../../../../stores/registry/bundles.js';
import { classFolders } from '../../../support/ingestion-fixture.js';
import { formWith, problemOf, redImage } from '../../../support/served-api.js';
import { startLineageFixture, type LineageFixture } from '../../../support/lineage-fixture.js';
import { sha256Of } from '../../../support/training-fixtures.js';

type LineageView = z.infer<typeof lineageViewSchema>;

type Erasure = z.infer<typeof erasureViewSchema>;

describe('erasure', () => {
  let lineage: LineageFixture;
  let version: ModelVersion;
  let folder: string;
  let photograph: Uint8Array;
  let sha256: string;
  beforeAll(async () => {
    lineage = await startLineageFixture();
    const files = await classFolders({ dandelion: 8, grass: 8 });
    photograph = files['dandelion/3.jpg'] ?? new Uint8Array();
    sha256 = sha256Of(photograph);
    folder = lineage.ingestion.folder(files);
    await lineage.ingestion.ingest({ kind: 'folder', path: folder });
    version = await lineage.trainOn('flowers');
  });
  afterAll(() => lineage.stop());

  const get = (path: string): Promise<Response> => fetch(lineage.served.url + path);
  const request = (body: unknown): Promise<Response> =>
    fetch(`${lineage.served.url}/api/v1/erasures`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-actor': 'the data officer' },
      body: JSON.stringify(body),
    });
  const erased = async (kind: string, id: string): Promise<Erasure> => {
    const response = await request({ kind, id, reason: 'the person asked for it' });
    return erasureViewSchema.parse(await response.json());
  };
  const predict = async (image?: Uint8Array): Promise<string> => {
    const body = formWith('file', image ?? (await redImage()));
    const response = await fetch(`${lineage.served.url}/predict`, { method: 'POST', body });
    return predictionSchema.parse(await response.json()).prediction_id;
  };
  const lineageOf = async (id: string): Promise<LineageView> =>
    lineageViewSchema.parse(await (await get(`/api/v1/predictions/${id}/lineage?verify=full`)).json());
  const statesOf = async (id: string): Promise<Record<string, string>> =>
    Object.fromEntries((await lineageOf(id)).edges.map(({ relation, state }) => [relation, state]));

  it('erases a prediction and keeps its tombstone', async () => {
    const id = await predict();
    await fetch(`${lineage.served.url}/feedback`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-actor': 'a neighbour' },
      body: JSON.stringify({ prediction_id: id, label: 'grass', comment: 'my garden in Elm Street' }),
    });
    const tombstone = await erased('prediction', id);
    expect(tombstone).toMatchObject({
      kind: 'prediction',
      id,
      actor: 'the data officer',
      reason: 'the person asked for it',
      counts: { predictions: 1, feedback: 1, objects: 0 },
      status: 'done',
    });
    const detail = predictionDetailViewSchema.parse(await (await get(`/api/v1/predictions/${id}`)).json());
    expect(detail).toMatchObject({ image_sha256: null, probabilities: null, label: 'grass' });
    expect(detail.erased_at).not.toBeNull();
    expect(detail.feedback).toMatchObject([{ label: 'grass', actor: null, comment: null }]);
    const dump = await lineage.served.api.database.query('SELECT * FROM feedback');
    expect(JSON.stringify(dump)).not.toContain('Elm Street');
    expect(await erased('prediction', id)).toEqual(tombstone);
    expect((await lineageOf(id)).nodes[0]).toMatchObject({ kind: 'prediction', erased: true });
    const again = await fetch(`${lineage.served.url}/feedback`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prediction_id: id, label: 'grass' }),
    });
    expect(await problemOf(again)).toEqual({ status: 409, code: 'conflict' });
  });

  it('erases an image permanently: bytes, embeddings, later versions, and the same bytes sent again', async () => {
    const { ingestion, served } = lineage;
    const id = await predict();
    const [{ objectKey } = { objectKey: '' }] = await served.api.database.rows(
      z.object({ objectKey: z.string() }),
      'SELECT object_key FROM images WHERE sha256 = $1',
      [sha256],
    );
    const ofImage = await predict(photograph);
    const tombstone = await erased('image', sha256);
    expect(tombstone).toMatchObject({
      counts: { images: 1, feature_files: 1, embeddings: 16, predictions: 1, objects: 3 },
      status: 'done',
    });
    const detailOfImage = predictionDetailViewSchema.parse(await (await get(`/api/v1/predictions/${ofImage}`)).json());
    expect(detailOfImage).toMatchObject({ image_sha256: null, probabilities: null });
    expect(detailOfImage.erased_at).not.toBeNull();
    expect(await unlessMissing(served.api.objects.get(objectKey))).toBeNull();
    expect(await erased('image', sha256)).toEqual(tombstone);

    const states = await statesOf(id);
    expect(states).toMatchObject({ trained_on: 'verified', consists_of: 'verified', read_features: 'erased' });
    const images = (await lineageOf(id)).edges.find(({ relation }) => relation === 'consists_of');
    expect(images?.figures).toEqual({ images: 16, checked: 15, erased: 1, failed: 0 });

    const examples = await ingestion.datasets.examples('flowers', version.datasetVersion);
    expect(examples.map((example) => example.sha256)).not.toContain(sha256);
    expect(examples).toHaveLength(15);
    const again = await ingestion.ingest({ kind: 'folder', path: folder });
    expect(again).toMatchObject({ isNewVersion: true, quarantined: 1, newImages: 0 });
    const detail = await ingestion.datasets.versionDetail('flowers', again.version);
    expect(detail.quarantined).toMatchObject([{ path: 'dandelion/3.jpg', reason: 'erased' }]);
    const other = await ingestion.ingest(
      {
        kind: 'folder',
        path: ingestion.folder({ 'a/x.jpg': photograph, ...(await classFolders({ a: 4, b: 4 }, 500)) }),
      },
      'another',
    );
    expect(other).toMatchObject({ quarantined: 1 });
    expect(await unlessMissing(served.api.objects.get(objectKey))).toBeNull();
  });

  it('erases an image that was only predicted', async () => {
    const image = await redImage(70, 70);
    const id = await predict(image);
    expect(await erased('image', sha256Of(image))).toMatchObject({ counts: { images: 0, predictions: 1 } });
    const detail = predictionDetailViewSchema.parse(await (await get(`/api/v1/predictions/${id}`)).json());
    expect(detail).toMatchObject({ image_sha256: null, probabilities: null });
    expect(await problemOf(await request({ kind: 'image', id: 'f'.repeat(64), reason: 'x' }))).toMatchObject({
      status: 404,
    });
  });

  it('erases the rows while the object store is unavailable, and the objects once it is available again', async () => {
    const { ingestion, served } = lineage;
    const files = await classFolders({ a: 4, b: 4 }, 11_000);
    await ingestion.ingest({ kind: 'folder', path: ingestion.folder(files) }, 'fragile');
    const hash = sha256Of(files['a/0.jpg'] ?? '');
    const [facts] = await ingestion.datasets.imageFacts([hash]);
    const key = rawImageKey(facts?.md5 ?? '');
    await ingestion.objectServer.pause();
    try {
      const response = await request({ kind: 'image', id: hash, reason: 'asked' });
      expect(response.status).toBe(202);
      expect(erasureViewSchema.parse(await response.json())).toMatchObject({ status: 'pending', pending_objects: 2 });
      expect(await ingestion.datasets.examples('fragile', 1)).toHaveLength(7);
    } finally {
      await ingestion.objectServer.resume();
    }
    expect(await served.api.objects.head(key)).not.toBeNull();
    expect(await erased('image', hash)).toMatchObject({ status: 'done', pending_objects: 0 });
    expect(await served.api.objects.head(key)).toBeNull();
  });

  it('erases a dataset and its unshared images, and shows this in the lineage', async () => {
    const { ingestion, served } = lineage;
    const shared = await classFolders({ a: 2, b: 2 }, 12_000);
    const own = await classFolders({ c: 4 }, 13_000);
    await ingestion.ingest({ kind: 'folder', path: ingestion.folder(shared) }, 'keeper');
    const source = ingestion.folder({ ...shared, ...own });
    await ingestion.ingest({ kind: 'folder', path: source }, 'doomed');
    await lineage.trainOn('doomed');
    const id = await predict();
    await lineage.trainOn('flowers');
    const tombstone = await erased('dataset', 'doomed');
    expect(tombstone).toMatchObject({
      counts: { versions: 1, images: 4, feature_files: 1, embeddings: 8 },
      status: 'done',
    });
    expect(await erased('dataset', 'doomed')).toEqual(tombstone);
    expect(await problemOf(await get('/api/v1/datasets/doomed'))).toMatchObject({ status: 404 });
    expect(await problemOf(await get('/api/v1/datasets/doomed/versions/1'))).toMatchObject({ status: 404 });
    expect(await statesOf(id)).toMatchObject({
      packaged_as: 'verified',
      trained_by: 'verified',
      trained_on: 'erased',
      consists_of: 'erased',
      read_features: 'erased',
    });
    const stored = async (files: Record<string, Uint8Array>): Promise<number> =>
      (await ingestion.datasets.imageFacts(Object.values(files).map(sha256Of))).length;
    expect([await stored(own), await stored(shared)]).toEqual([0, 4]);
    expect((await ingestion.datasets.examples('keeper', 1)).length).toBe(4);
    // A dataset of the same name may be created again; the erased version number is not reused.
    const anew = await ingestion.ingest({ kind: 'folder', path: source }, 'doomed');
    expect(anew).toMatchObject({ version: 2, isNewVersion: true, newImages: 4 });
    for (const bytes of Object.values(own)) {
      const [facts] = await ingestion.datasets.imageFacts([sha256Of(bytes)]);
      expect(await served.api.objects.head(rawImageKey(facts?.md5 ?? ''))).not.toBeNull();
    }
  });

  it('erases a model once it is out of Production, and shows this in the lineage of its predictions', async () => {
    const { served } = lineage;
    const id = await predict();
    await served.api.database.query(`UPDATE model_versions SET stage = 'Archived' WHERE stage = 'Production'`);
    const tombstone = await erased('model', version.modelName);
    expect(tombstone.status).toBe('done');
    expect(tombstone.counts['versions']).toBeGreaterThan(1);
    const left: string[] = [];
    for await (const { key } of served.api.objects.list('models/')) left.push(key);
    expect(left).toEqual([]);
    expect(await statesOf(id)).toMatchObject({ made_by: 'erased', packaged_as: 'erased', served_since: 'verified' });
    expect(await erased('model', version.modelName)).toEqual(tombstone);
    const detail = predictionDetailViewSchema.parse(await (await get(`/api/v1/predictions/${id}`)).json());
    expect(detail.probabilities).toBeNull();
  });

  it('lists tombstones newest first, and none of them can be changed', async () => {
    const list = async (query: string): Promise<Erasure[]> =>
      pageOf(erasureViewSchema).parse(await (await get(`/api/v1/erasures${query}`)).json()).items;
    const all = await list('');
    expect(all.map(({ kind }) => kind)).toEqual(['model', 'dataset', 'image', 'image', 'image', 'prediction']);
    expect(await list('?kind=dataset')).toHaveLength(1);
    const { database } = served();
    await expect(database.query('DELETE FROM erasures')).rejects.toThrow(/append-only/);
    await expect(database.query(`UPDATE erasures SET reason = ''`)).rejects.toThrow(/append-only/);
    const audit = await createAuditStore(database).list({ limit: 50, action: 'erasure.add' });
    expect(audit.items.map(({ subject }) => subject)).toEqual(all.map(({ kind, id }) => `${kind}s/${id}`));
  });

  it.each([
    { kind: 'image', id: '../../etc/passwd', reason: 'x' },
    { kind: 'image', id: 'A'.repeat(64), reason: 'x' },
    { kind: 'dataset', id: '../flowers', reason: 'x' },
    { kind: 'prediction', id: '1', reason: 'x' },
    { kind: 'person', id: 'x', reason: 'x' },
    { kind: 'dataset', id: 'flowers', reason: '  ' },
    { kind: 'dataset', id: 'flowers' },
  ])('refuses %j', async (body) => {
    expect(await problemOf(await request(body))).toEqual({ status: 400, code: 'bad_request' });
  });

  it.each([
    { kind: 'image', id: 'f'.repeat(64) },
    { kind: 'dataset', id: 'nowhere' },
    { kind: 'model', id: 'nobody' },
    { kind: 'prediction', id: '01a1fdc8-0c1d-7000-913c-6582be31a915' },
    { kind: 'prediction', id: '11111111-1111-4111-8111-111111111111' },
  ])('knows no %j', async ({ kind, id }) => {
    expect(await problemOf(await request({ kind, id, reason: 'x' }))).toEqual({ status: 404, code: 'not_found' });
  });

  function served(): LineageFixture['served']['api'] {
    return lineage.served.api;
  }
});

import { pageOf } from '../../../../contracts/http/page.js';
import { erasureViewSchema, lineageImageViewSchema } from '../../../../contracts/predictions/http-predictions.js';
import { colour, startLabelFixture, type LabelFixture } from '../../../support/label-fixture.js';
import { problemOf } from '../../../support/served-api.js';
import { sha256Of } from '../../../support/training-fixtures.js';

describe('ingestion of labels', () => {
  let labels: LabelFixture;
  let source: { kind: 'labels'; model: string };

  beforeAll(async () => {
    labels = await startLabelFixture();
    source = { kind: 'labels', model: labels.version.modelName };
  });
  afterAll(() => labels.stop());

  const erase = async (kind: string, id: string): Promise<Record<string, number>> =>
    erasureViewSchema.parse(await (await labels.send('/api/v1/erasures', { kind, id, reason: 'asked for' })).json())
      .counts;
  const latest = async (dataset: string): Promise<Record<string, string>> => {
    const found = await labels.ingestion.datasets.latestVersion(dataset);
    const examples = await labels.ingestion.datasets.examples(dataset, found?.version ?? 0);
    return Object.fromEntries(examples.map(({ sha256, label }) => [sha256, label]));
  };

  it('takes each image under its newest label, and a retraining ingests new ones automatically', async () => {
    const { dataset } = labels.version;
    expect(await labels.ingestion.datasets.newLabels(dataset)).toEqual([]);
    const twice = await colour(105);
    const ids = [await labels.predict(twice), await labels.predict(await colour(106)), await labels.predict(twice)];
    await labels.decide(ids[0] ?? '', { label: 'grass' });
    await labels.decide(ids[1] ?? '', { label: 'tulip', new_class: true });
    await labels.decide(ids[2] ?? '', { label: 'dandelion' });
    const unusable = await labels.predict(await colour(107));
    await labels.decide(unusable, { decision: 'reject' });
    expect(await labels.ingestion.datasets.newLabels(dataset)).toEqual([source]);

    const result = await labels.ingestion.ingest(source, dataset);
    expect(result).toMatchObject({ isNewVersion: true, newImages: 2, quarantined: 0, conflicts: 0 });
    expect(Object.values(await latest(dataset)).sort()).toEqual(['dandelion', 'tulip']);
    expect(await labels.ingestion.datasets.newLabels(dataset)).toEqual([]);
    expect((await labels.ingestion.datasets.detail(dataset))?.sources).toMatchObject([
      { kind: 'labels', locator: source.model },
    ]);
    const images = pageOf(lineageImageViewSchema).parse(
      await (await labels.get(`/api/v1/predictions/${ids[0] ?? ''}/lineage/images`)).json(),
    );
    expect(images.items.map(({ label, prediction_id }) => [label, prediction_id]).sort()).toEqual([
      ['dandelion', ids[2]],
      ['tulip', ids[1]],
    ]);
    // An image that a dataset uses does not expire.
    expect((await labels.detail(ids[2] ?? '')).input).toMatchObject({ expires_at: null });

    await labels.decide(await labels.predict(await colour(108)), { label: 'grass' });
    expect(await labels.ingestion.datasets.newLabels(dataset)).toEqual([source]);
    expect(await labels.ingestion.ingest(source, dataset)).toMatchObject({ newImages: 1, isNewVersion: true });
    expect(Object.keys(await latest(dataset))).toHaveLength(3);
  });

  it('is refused while there are no labels', async () => {
    await expect(labels.ingestion.ingest({ kind: 'labels', model: 'unheard_of' }, 'other')).rejects.toThrow(
      /Model unheard_of has no captured image with an accepted label/,
    );
  });

  it('is refused for an unknown model', async () => {
    const refused = await labels.send('/api/v1/labels/ingest', { model: 'unheard_of' });
    expect(await refused.clone().text()).toContain('There is no model unheard_of.');
    expect(await problemOf(refused)).toEqual({ status: 404, code: 'not_found' });
    // For a known model only Temporal is missing, which does not run in this test.
    for (const body of [{}, { model: source.model }]) {
      const started = await labels.send('/api/v1/labels/ingest', body);
      expect(await problemOf(started)).toEqual({ status: 503, code: 'temporal_unavailable' });
    }
  });

  it('loses labels when their prediction or image is erased', async () => {
    const file = await colour(115, 'Ada of Somewhere');
    const [first, second] = [await labels.predict(await colour(116)), await labels.predict(file)];
    await labels.decide(first, { label: 'grass' });
    await labels.decide(second, { label: 'grass', comment: 'in my garden' });
    const { objects } = labels.served.api;
    const keyOf = async (id: string): Promise<string> =>
      (await labels.served.api.stores.inputs.get(id))?.objectKey ?? '';
    const keys = [await keyOf(first), await keyOf(second)];

    expect(await erase('prediction', first)).toMatchObject({ predictions: 1, inputs: 1, labels: 1, objects: 1 });
    expect(await objects.head(keys[0] ?? '')).toBeNull();
    expect((await labels.get(`/api/v1/predictions/${first}/input`)).status).toBe(404);

    await labels.ingestion.ingest(source, 'erased_from');
    const before = Object.keys(await latest('erased_from'));
    // The image is named by the digest of the file that was sent; the captured image has another digest.
    expect(before).not.toContain(sha256Of(file));
    expect(await erase('image', sha256Of(file))).toMatchObject({ images: 1, predictions: 1, inputs: 1, labels: 1 });
    expect(await objects.head(keys[1] ?? '')).toBeNull();
    expect(Object.keys(await latest('erased_from'))).toHaveLength(before.length - 1);
    const rows = await labels.ingestion.database.db.query(
      'SELECT actor, comment, image_sha256 FROM label_decisions WHERE prediction_id = ANY($1)',
      [[first, second]],
    );
    expect(rows).toEqual([
      { actor: null, comment: null, imageSha256: null },
      { actor: null, comment: null, imageSha256: null },
    ]);
    // The same file is predicted again, but its image is not captured.
    const again = await labels.predict(file);
    expect((await labels.detail(again)).input).toBeNull();
  });
});

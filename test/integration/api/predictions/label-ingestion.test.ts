import { pageOf } from '../../../../contracts/http/page.js';
import { erasureViewSchema, lineageImageViewSchema } from '../../../../contracts/predictions/http-predictions.js';
import { colour, startLabelFixture, type LabelFixture } from '../../../support/label-fixture.js';
import { problemOf } from '../../../support/served-api.js';
import { sha256Of } from '../../../support/training-fixtures.js';

describe('labels on their way into a dataset', () => {
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

  it('are its images under the newest label of each, and a retraining asks for new ones by itself', async () => {
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
    // A picture that a dataset needs does not expire.
    expect((await labels.detail(ids[2] ?? '')).input).toMatchObject({ expires_at: null });

    await labels.decide(await labels.predict(await colour(108)), { label: 'grass' });
    expect(await labels.ingestion.datasets.newLabels(dataset)).toEqual([source]);
    expect(await labels.ingestion.ingest(source, dataset)).toMatchObject({ newImages: 1, isNewVersion: true });
    expect(Object.keys(await latest(dataset))).toHaveLength(3);
  });

  it('are refused as a source while there are none', async () => {
    await expect(labels.ingestion.ingest({ kind: 'labels', model: 'unheard_of' }, 'other')).rejects.toThrow(
      /Model unheard_of has no captured image with an accepted label/,
    );
  });

  it('are not asked for in the name of a model that nobody has heard of', async () => {
    const refused = await labels.send('/api/v1/labels/ingest', { model: 'unheard_of' });
    expect(await refused.clone().text()).toContain('There is no model unheard_of.');
    expect(await problemOf(refused)).toEqual({ status: 404, code: 'not_found' });
    // Of the models that are known, only Temporal keeps it from starting, which no test here has.
    for (const body of [{}, { model: source.model }]) {
      const started = await labels.send('/api/v1/labels/ingest', body);
      expect(await problemOf(started)).toEqual({ status: 503, code: 'temporal_unavailable' });
    }
  });

  it('go with the prediction when that is erased, and with the image when that is', async () => {
    const kept = await colour(115, 'Ada of Somewhere');
    const [first, second] = [await labels.predict(await colour(116)), await labels.predict(kept)];
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
    // Named by the file that was sent, which is another one than the picture that was kept of it.
    expect(before).not.toContain(sha256Of(kept));
    expect(await erase('image', sha256Of(kept))).toMatchObject({ images: 1, predictions: 1, inputs: 1, labels: 1 });
    expect(await objects.head(keys[1] ?? '')).toBeNull();
    expect(Object.keys(await latest('erased_from'))).toHaveLength(before.length - 1);
    const said = await labels.ingestion.database.db.query(
      'SELECT actor, comment, image_sha256 FROM label_decisions WHERE prediction_id = ANY($1)',
      [[first, second]],
    );
    expect(said).toEqual([
      { actor: null, comment: null, imageSha256: null },
      { actor: null, comment: null, imageSha256: null },
    ]);
    // The same file again is predicted, and its picture not kept.
    const again = await labels.predict(kept);
    expect((await labels.detail(again)).input).toBeNull();
  });
});

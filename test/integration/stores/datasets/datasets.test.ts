import { createAuditStore } from '../../../../stores/audit/audit.js';
import { createDatasetStore, type DatasetStore } from '../../../../stores/datasets/datasets.js';
import { createIngestionStore } from '../../../../stores/datasets/ingestions.js';
import { createFeatureStore } from '../../../../stores/features/features.js';
import { createNotificationStore } from '../../../../stores/notifications/notifications.js';
import { createOutboxStore } from '../../../../stores/notifications/outbox.js';
import { commitImages, factsOf } from '../../../support/dataset-version.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';

let records: TestDatabase;
let datasets: DatasetStore;
beforeAll(async () => {
  records = await startTestDatabase();
  datasets = createDatasetStore(records.db);
});
afterAll(() => records.stop());

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

describe('datasets', () => {
  it('are listed by name, page by page, with the figures of their current version', async () => {
    for (const name of ['list-c', 'list-a', 'list-b']) await commitImages(records.db, name, { x: [1, 2], y: [3] });
    const first = await datasets.list({ limit: 2 });
    const second = await datasets.list({ limit: 2, pageToken: first.nextPageToken });
    const items = [...first.items, ...second.items].filter(({ name }) => name.startsWith('list-'));
    expect(items.map(({ name }) => name)).toEqual(['list-a', 'list-b', 'list-c']);
    expect(items[0]).toMatchObject({ currentVersion: 1, versions: 1, images: 3, classes: { x: 2, y: 1 } });
  });

  it('refuse a page token that is not a name', async () => {
    await expect(datasets.list({ limit: 2, pageToken: 'No Name' })).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('are not shown for a name whose only ingestion was abandoned', async () => {
    const ingestions = createIngestionStore(records.db);
    const ingestion = {
      id: 'i-1',
      dataset: 'tried',
      kind: 'folder',
      locator: '/x',
      isDefault: false,
      note: null,
    } as const;
    await ingestions.open(ingestion);
    expect(await datasets.detail('tried')).toMatchObject({ currentVersion: null, images: 0, classes: {}, history: [] });
    await ingestions.abandon('i-1');
    expect(await datasets.detail('tried')).toBeNull();
    expect((await datasets.list({ limit: 100 })).items.map(({ name }) => name)).not.toContain('tried');
  });

  it('leave an entry in the audit log when their current version changes, and none when it stays', async () => {
    for (const images of [{ x: [1] }, { x: [1, 2] }, { x: [1, 2] }]) await commitImages(records.db, 'audited', images);
    const { items } = await createAuditStore(records.db).list({ limit: 10, subject: 'datasets/audited' });
    expect(items).toMatchObject([
      { action: 'dataset.commit', via: 'workflow', before: { currentVersion: 1 }, after: { currentVersion: 2 } },
      { subject: 'datasets/audited/versions/1', before: { currentVersion: null }, after: { currentVersion: 1 } },
    ]);
  });

  it('show their versions and sources', async () => {
    await commitImages(records.db, 'told', { x: range(10, 14) }, '/one');
    await commitImages(records.db, 'told', { y: range(14, 18) }, '/two');
    const detail = await datasets.detail('told');
    expect(detail?.history.map(({ version }) => version)).toEqual([2, 1]);
    expect(detail?.sources.map(({ kind, locator }) => [kind, locator])).toEqual([
      ['folder', '/one'],
      ['folder', '/two'],
    ]);
    const { sources, statistics } = await datasets.version('told', 1);
    expect(sources).toEqual([{ kind: 'folder', locator: '/one' }]);
    expect(statistics.images).toBe(4);
    expect(await datasets.detail('nobody')).toBeNull();
    await expect(datasets.version('told', 3)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('never change the split of an image, even when images are added and removed', async () => {
    await commitImages(records.db, 'stable', { x: range(100, 120), y: range(120, 140) });
    const sideOf = new Map((await datasets.examples('stable', 1)).map(({ sha256, side }) => [sha256, side]));
    await commitImages(records.db, 'stable', { x: range(115, 160), y: range(130, 135) });
    await commitImages(records.db, 'stable', { x: range(100, 120), y: range(100, 101) });
    await commitImages(records.db, 'stable', { x: range(120, 140), y: range(100, 120) });
    const latest = await datasets.latestVersion('stable');
    const now = await datasets.examples('stable', latest?.version ?? 0);
    expect(now).toHaveLength(40);
    expect(now.every(({ sha256, side }) => sideOf.get(sha256) === side)).toBe(true);
  });

  it('return the metadata of known images, in the order of their digests', async () => {
    await commitImages(records.db, 'facts', { x: [301, 300] });
    const found = await datasets.imageFacts([301, 300, 999_999].map((number) => factsOf(number).sha256));
    expect(found).toEqual([factsOf(300), factsOf(301)]);
  });

  it('make one version of each state when many sources are committed concurrently', async () => {
    const committed = await Promise.all(
      range(0, 8).map((index) =>
        commitImages(
          records.db,
          'crowd',
          { x: range(1000 + index * 10, 1010 + index * 10) },
          `/source-${String(index)}`,
        ),
      ),
    );
    expect(committed.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect((await datasets.latestVersion('crowd'))?.statistics.images).toBe(80);
  });
});

describe('features', () => {
  it('are missing until they are added, once per image, backbone, preprocessing and runtime', async () => {
    await commitImages(records.db, 'embedded', { x: [401, 402, 403] });
    const features = createFeatureStore(records.db);
    const [a = '', b = '', c = ''] = [401, 402, 403].map((number) => factsOf(number).sha256);
    const bone = { backbone: 'bone', preprocessing: 2, runtime: 'ort' };
    expect(await features.missing(bone, [c, a, b])).toEqual([c, a, b]);
    const file = { objectKey: 'features/1', sha256: '1'.repeat(64), images: [b, a], runId: 'r' };
    await features.add(bone, file);
    await features.add(bone, file);
    expect(await features.missing(bone, [c, a, b])).toEqual([c]);
    expect(await features.missing({ ...bone, backbone: 'other' }, [a])).toEqual([a]);
    expect(await features.missing({ ...bone, preprocessing: 1 }, [a])).toEqual([a]);
    expect(await features.missing({ ...bone, runtime: 'tfjs' }, [a])).toEqual([a]);
    expect(await features.locate({ ...bone, preprocessing: 1 }, [a])).toEqual([]);
    expect(await features.locate({ ...bone, runtime: 'tfjs' }, [a])).toEqual([]);
    await features.add(bone, { ...file, objectKey: 'features/2', sha256: '2'.repeat(64), images: [a, c] });
    expect(await features.locate(bone, [a, b])).toEqual([{ objectKey: 'features/1', sha256: '1'.repeat(64) }]);
    expect(await features.locate(bone, [a, b, c])).toHaveLength(2);
  });
});

describe('the outbox', () => {
  const messages = async (kind: string): Promise<unknown[]> =>
    (await createNotificationStore(records.db).list({ limit: 50, kind })).items.map(({ payload }) => payload);

  it('takes each key once', async () => {
    const outbox = createOutboxStore(records.db);
    for (const key of ['m1', 'm2', 'm3', 'm2']) await outbox.add('note', { key }, { key });
    expect(await messages('note')).toEqual([{ key: 'm3' }, { key: 'm2' }, { key: 'm1' }]);
  });

  it('takes no message from a transaction that is rolled back', async () => {
    const outbox = createOutboxStore(records.db);
    const failing = records.db.transaction(async (tx) => {
      await outbox.add('lost', {}, { key: 'lost', tx });
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await messages('lost')).toEqual([]);
  });
});

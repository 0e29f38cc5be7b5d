import { hash } from 'node:crypto';
import { rawImageKey } from '../../../stores/objects/object-keys.js';
import { poll } from '../../support/api-client.js';
import { patternImage, startIngestionFixture, type IngestionFixture } from '../../support/ingestion-fixture.js';
import { orphanDependencies, sweep } from '../../support/removal-fixture.js';

/** A promise and the function that fulfils it. */
function signalled(): [Promise<void>, () => void] {
  let signal = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    signal = resolve;
  });
  return [promise, () => signal()];
}

describe('a removal at the time of an upload of the same content', () => {
  let fixture: IngestionFixture;
  beforeAll(async () => {
    fixture = await startIngestionFixture();
  });
  afterAll(() => fixture.stop());

  /** An old object without a row, and the folder of the image that will have its key. */
  async function leftover(number: number): Promise<{ key: string; path: string }> {
    const bytes = await patternImage(number);
    const key = rawImageKey(hash('md5', bytes));
    await fixture.deps.objects.put(key, bytes);
    fixture.takeUploads();
    return { key, path: fixture.folder({ 'grass/a.jpg': bytes }) };
  }
  const exists = async (key: string): Promise<boolean> => (await fixture.deps.objects.head(key)) !== null;

  it('makes the upload wait until the former object is deleted', async () => {
    const { objects } = fixture.deps;
    const { db } = fixture.database;
    const { key, path } = await leftover(1);
    const [began, beginning] = signalled();
    const [mayEnd, allowEnd] = signalled();
    const slowly = {
      ...objects,
      async deleteMany(keys: readonly string[]): Promise<void> {
        beginning();
        await mayEnd;
        await objects.deleteMany(keys);
      },
    };
    const removal = sweep(orphanDependencies(db, slowly));
    await began;
    const ingestion = fixture.ingest({ kind: 'folder', path });
    try {
      // The claim of the ingestion waits for the lock of the removal.
      await poll(
        () => db.query(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`),
        (waiting) => waiting.length > 0,
      );
      expect(fixture.takeUploads()).toEqual([]);
      expect(await exists(key)).toBe(true);
    } finally {
      allowEnd();
    }
    expect(await removal).toMatchObject([{ kind: 'datasets', objects: 1 }]);
    await ingestion;
    expect(fixture.takeUploads()).toContain(key);
    expect(await exists(key)).toBe(true);
  });

  it('keeps an object that is claimed, and removes it when the claim is void', async () => {
    const { deps, database } = fixture;
    const { key } = await leftover(2);
    await deps.ingestions.claim([key]);
    expect(await sweep(orphanDependencies(database.db, deps.objects))).toEqual([]);
    expect(await exists(key)).toBe(true);
    await database.db.query(`UPDATE object_claims SET claimed_at = now() - interval '49 hours'`);
    expect(await sweep(orphanDependencies(database.db, deps.objects))).toHaveLength(1);
    expect(await exists(key)).toBe(false);
  });

  it('keeps an object that was claimed after the references were read', async () => {
    const { deps, database } = fixture;
    const { key } = await leftover(3);
    const orphans = orphanDependencies(database.db, deps.objects);
    const late: typeof orphans.locks = {
      async withLock(name, work) {
        await deps.ingestions.claim([key]);
        return orphans.locks.withLock(name, work);
      },
    };
    expect(await sweep({ ...orphans, locks: late })).toEqual([]);
    expect(await exists(key)).toBe(true);
  });

  it('keeps claims few: a new one deletes void ones', async () => {
    const { db } = fixture.database;
    await db.query(
      `INSERT INTO object_claims SELECT 'old/' || n, now() - interval '3 days' FROM generate_series(1, 150) n`,
    );
    for (const key of ['a', 'b']) await fixture.deps.ingestions.claim([key]);
    expect(await db.query(`SELECT FROM object_claims WHERE starts_with(object_key, 'old/')`)).toEqual([]);
  });

  /** An image of a deleted dataset version: its row has no dataset. */
  async function unusedImage(number: number): Promise<{ key: string; path: string }> {
    const { db } = fixture.database;
    const { key, path } = await leftover(number);
    await fixture.ingest({ kind: 'folder', path }, `once-${number}`);
    await db.query('DELETE FROM dataset_examples WHERE dataset = $1', [`once-${number}`]);
    await db.query('DELETE FROM ingestion_files');
    await db.query('DELETE FROM object_claims');
    await db.query(`UPDATE images SET created_at = now() - interval '3 days'`);
    fixture.takeUploads();
    return { key, path };
  }

  it('removes an image that no dataset contains any more, and stores it again when it comes again', async () => {
    const { deps, database } = fixture;
    const { key, path } = await unusedImage(5);
    await sweep(orphanDependencies(database.db, deps.objects));
    expect(await exists(key)).toBe(false);
    await fixture.ingest({ kind: 'folder', path }, 'again');
    expect(await exists(key)).toBe(true);
    expect(await sweep(orphanDependencies(database.db, deps.objects))).toEqual([]);
    expect(await exists(key)).toBe(true);
  });

  it('refuses to record a known image whose bytes were removed since it was looked up', async () => {
    const { deps, database } = fixture;
    const { key, path } = await unusedImage(6);
    const source = { kind: 'folder' as const, path };
    const ingestionId = 'overtaken-by-removal';
    await fixture.activities.resolveSource({ ingestionId, dataset: 'later', source });
    await fixture.activities.scanSource({ ingestionId });
    const [file] = await deps.ingestions.takePending(ingestionId, 1);
    const sha256 = hash('sha256', await patternImage(6));
    expect((await deps.ingestions.imageStatuses([sha256])).get(sha256)).toBe('known');
    await sweep(orphanDependencies(database.db, deps.objects));
    const outcome = { path: file?.path ?? '', sha256, uploadedBytes: null };
    await expect(deps.ingestions.settle(ingestionId, [outcome], [])).rejects.toMatchObject({ code: 'internal' });
    await fixture.activities.ingestBatch({ ingestionId, limit: 50 });
    expect(await exists(key)).toBe(true);
  });

  it('is found for every upload under a key of its content', async () => {
    const { db } = fixture.database;
    await db.query('DELETE FROM object_claims');
    const { path } = await leftover(4);
    await fixture.ingest({ kind: 'folder', path });
    const claims = await db.query('SELECT object_key FROM object_claims');
    const contentKeys = fixture.takeUploads().filter((key) => key.startsWith('raw/'));
    expect(claims.map((row) => row['objectKey']).sort()).toEqual(contentKeys.sort());
    expect(contentKeys).toHaveLength(2);
  });
});

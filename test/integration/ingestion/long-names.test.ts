import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { uploadKey } from '../../../stores/objects/object-keys.js';
import {
  classFolders,
  patternImage,
  startIngestionFixture,
  type IngestionFixture,
} from '../../support/ingestion-fixture.js';

let fixture: IngestionFixture;
beforeAll(async () => {
  fixture = await startIngestionFixture();
});
afterAll(() => fixture.stop());

/** A path of some 3,000 bytes; random, because Postgres would compress anything else until it fits an index. */
function deepPath(): string {
  return Array.from({ length: 13 }, () => randomBytes(120).toString('hex')).join('/');
}

describe('a name too long for an index', () => {
  it('of a file quarantines it under a shortened path, each file separately', async () => {
    const deep = `grass/${deepPath()}`;
    const files = { [`${deep}/a.jpg`]: await patternImage(800), [`${deep}/b.jpg`]: 'text' };
    const path = fixture.folder({ ...(await classFolders({ grass: 2 })), ...files });
    const { statistics, quarantined } = await fixture.ingest({ kind: 'folder', path }, 'deep');
    expect(statistics.classes).toEqual({ grass: 2 });
    expect(quarantined).toBe(2);
    const detail = await fixture.datasets.versionDetail('deep', 1);
    expect(detail.quarantined.map(({ reason }) => reason)).toEqual(['unreadable', 'unreadable']);
    expect(detail.quarantined.every((file) => file.path.startsWith(deep.slice(0, 900)))).toBe(true);
  });

  it('of the source itself is refused', async () => {
    const deep = deepPath();
    const path = fixture.folder({ [`${deep}/grass/a.jpg`]: await patternImage(801) });
    const refused = fixture.ingest({ kind: 'folder', path: join(path, deep) });
    await expect(refused).rejects.toMatchObject({ code: 'source_not_found' });
    await expect(refused).rejects.toThrow(/1000 bytes/);
  });

  it('of an upload is shortened, and its file is ingested', async () => {
    const uploadId = await fixture.deps.uploads.createUpload({ dataset: 'endless', label: 'clover' });
    const name = `${randomBytes(4_000).toString('hex')}.jpg`;
    for (const [position, bytes] of [await patternImage(810), Buffer.from('text')].entries()) {
      await fixture.deps.objects.put(uploadKey(uploadId, position), bytes);
      await fixture.deps.uploads.addUploadFile(uploadId, position, name, uploadKey(uploadId, position), bytes.length);
    }
    const result = await fixture.ingest({ kind: 'upload', uploadId }, 'endless');
    expect(result).toMatchObject({ newImages: 1, quarantined: 1 });
  });
});

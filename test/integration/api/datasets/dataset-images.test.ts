import { createAuditStore } from '../../../../stores/audit/audit.js';
import { rawImageKey, splitManifestKey } from '../../../../stores/objects/object-keys.js';
import { startDatasetFixture, type DatasetChange, type DatasetFixture } from '../../../support/dataset-fixture.js';
import { patternImage, type IngestionFixture } from '../../../support/ingestion-fixture.js';
import { problemOf } from '../../../support/served-api.js';
import { sha256Of } from '../../../support/training-fixtures.js';

let datasets: DatasetFixture;
let ingestion: IngestionFixture;
beforeAll(async () => {
  datasets = await startDatasetFixture();
  ({ ingestion } = datasets);
});
afterAll(() => datasets.stop());

describe('an image in a dataset', () => {
  it('uploaded under two labels is told with its sources, and corrected by a PATCH', async () => {
    const image = await patternImage(30_000);
    const sha256 = sha256Of(image);
    await datasets.prepare('wrong', 30_100);
    await datasets.upload('wrong', 'grass', image);
    const run = await datasets.upload('wrong', 'dandelion', image);
    expect(run.conflicts).toBe(1);
    const [dandelion, grass] = await datasets.sourcesOf('wrong');
    expect(run.conflictAdvice).toContain(`Source ${grass?.id} (upload ${grass?.locator}) says "grass"`);
    expect(run.conflictAdvice).toContain(`PATCH /api/v1/datasets/wrong/images/${sha256}`);
    const [conflict] = (await datasets.versionOf('wrong', run.version)).conflicts;
    expect(conflict?.files).toMatchObject([
      { source_id: grass?.id, label: 'grass', missing: false },
      { source_id: dandelion?.id, label: 'dandelion' },
    ]);
    expect(conflict?.remedy).toContain(`DELETE /api/v1/datasets/wrong/sources/${dandelion?.id}`);
    expect(await datasets.imageOf('wrong', sha256)).toMatchObject({ state: 'conflict', label: null });

    const edited = await datasets.change('PATCH', `wrong/images/${sha256}`, { label: 'dandelion', reason: 'a slip' });
    expect(edited).toMatchObject({ changed: true, is_new_version: true, published: true, conflicts: 0 });
    expect(edited.classes).toEqual({ dandelion: 7, grass: 6 });
    expect(await datasets.imageOf('wrong', sha256)).toMatchObject({
      state: 'included',
      label: 'dandelion',
      corrections: [{ action: 'relabel', label: 'dandelion', reason: 'a slip', actor: 'the curator' }],
    });
    expect((await datasets.versionOf('wrong', run.version)).conflicts[0]?.remedy).toContain('is solved');
    expect((await datasets.versionOf('wrong', edited.version)).conflicts).toEqual([]);
    const again = await datasets.change('PATCH', `wrong/images/${sha256}`, { label: 'dandelion' });
    expect(again).toMatchObject({ changed: false, version: edited.version });
    const audit = await createAuditStore(datasets.served.api.database).list({ limit: 5, action: 'image.relabel' });
    expect(audit.items).toMatchObject([
      {
        subject: `datasets/wrong/images/${sha256}`,
        actor: 'the curator',
        before: { label: null, correction: null, version: run.version },
        after: { label: 'dandelion', reason: 'a slip', version: edited.version },
      },
    ]);
  });

  it('is corrected in every file that shows it, also in one that comes later', async () => {
    const image = await patternImage(30_500);
    // Bytes after the end of a JPEG change nothing that is shown.
    const copy = (note: string): Buffer => Buffer.concat([image, Buffer.from(note)]);
    await datasets.prepare('copies', 30_600);
    await datasets.upload('copies', 'grass', image);
    expect((await datasets.upload('copies', 'dandelion', copy('first'))).conflicts).toBe(1);
    const edited = await datasets.change('PATCH', `copies/images/${sha256Of(copy('first'))}`, { label: 'dandelion' });
    expect(edited).toMatchObject({ changed: true, conflicts: 0 });
    expect((await datasets.upload('copies', 'grass', copy('second'))).conflicts).toBe(0);
    const again = await datasets.change('PATCH', `copies/images/${sha256Of(image)}`, { label: 'dandelion' });
    expect(again).toMatchObject({ changed: false, classes: { dandelion: 7, grass: 6 } });
  });

  it('keeps its new label and its split over later ingestions of the same sources', async () => {
    const { folder, sha256 } = await datasets.prepare('relabelled', 31_000);
    const { side } = await datasets.imageOf('relabelled', sha256);
    const { version } = await datasets.change('PATCH', `relabelled/images/${sha256}`, { label: 'grass' });
    expect(await datasets.imageOf('relabelled', sha256)).toMatchObject({ label: 'grass', side });
    expect((await ingestion.ingest({ kind: 'folder', path: folder }, 'relabelled')).version).toBe(version);
    const { version: back } = await datasets.change('PATCH', `relabelled/images/${sha256}`, { label: null });
    expect(back).toBe(1);
    expect(await datasets.imageOf('relabelled', sha256)).toMatchObject({ label: 'dandelion', side });
  });

  it('that was taken out stays out until it is put back', async () => {
    const { folder, sha256 } = await datasets.prepare('pruned', 32_000);
    const { side } = await datasets.imageOf('pruned', sha256);
    const out = await datasets.change('DELETE', `pruned/images/${sha256}?reason=blurred`);
    expect(out).toMatchObject({ version: 2, images: 11, changed: true });
    expect(await datasets.change('DELETE', `pruned/images/${sha256}`)).toMatchObject({ version: 2, changed: false });
    expect((await ingestion.ingest({ kind: 'folder', path: folder }, 'pruned')).version).toBe(2);
    expect(await datasets.imageOf('pruned', sha256)).toMatchObject({ state: 'removed', label: null, side });
    expect((await fetch(`${datasets.served.url}/api/v1/images/${sha256}`)).status).toBe(200);
    expect(await datasets.change('PATCH', `pruned/images/${sha256}`, { label: null })).toMatchObject({ version: 1 });
    expect(await datasets.imageOf('pruned', sha256)).toMatchObject({ state: 'included', label: 'dandelion', side });
  });

  it('makes a version whose manifests and DVC listing are published', async () => {
    const { sha256 } = await datasets.prepare('announced', 33_000);
    const { version } = await datasets.change('PATCH', `announced/images/${sha256}`, { label: 'grass' });
    const { dvc_md5: md5 } = await datasets.versionOf('announced', version);
    const { objects } = ingestion.deps;
    const listing = Buffer.from(await objects.get(rawImageKey(`${md5}.dir`))).toString();
    expect(listing).toContain(`grass/${sha256}.jpg`);
    expect(await objects.head(splitManifestKey('train', 'announced', version))).not.toBeNull();
  });

  it('makes a version that is published later when the object store is unavailable, or the process ended', async () => {
    const { sha256 } = await datasets.prepare('late', 34_000);
    await ingestion.objectServer.pause();
    let made: DatasetChange;
    try {
      made = await datasets.change('PATCH', `late/images/${sha256}`, { label: 'grass' });
    } finally {
      await ingestion.objectServer.resume();
    }
    expect(made).toMatchObject({ changed: true, published: false });
    const manifest = splitManifestKey('train', 'late', made.version);
    expect(await ingestion.deps.objects.head(manifest)).toBeNull();
    await datasets.served.api.publisher.publishPending();
    expect(await ingestion.deps.objects.head(manifest)).not.toBeNull();
    expect(await ingestion.deps.publications.unpublished(0)).toEqual([]);
  });

  it('is changed only by clients that know its present label, if they say what they know', async () => {
    const { sha256 } = await datasets.prepare('contested', 35_000);
    const path = `contested/images/${sha256}`;
    const known = (await datasets.call('GET', path)).headers.get('etag') ?? '';
    expect((await datasets.change('PATCH', path, { label: 'grass' }, { 'if-match': known })).changed).toBe(true);
    const stale = await datasets.call('DELETE', path, undefined, { 'if-match': known });
    expect(await problemOf(stale)).toEqual({ status: 412, code: 'precondition_failed' });
    expect(await datasets.imageOf('contested', sha256)).toMatchObject({ label: 'grass' });
  });

  it('that was erased, or never was there, cannot be corrected', async () => {
    const { sha256 } = await datasets.prepare('private', 37_000);
    await datasets.change('PATCH', `private/images/${sha256}`, { label: 'grass', reason: 'it is my garden' });
    const erasure = { kind: 'image', id: sha256, reason: 'asked' };
    await fetch(`${datasets.served.url}/api/v1/erasures`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(erasure),
    });
    for (const [method, body] of [
      ['PATCH', { label: 'grass' }],
      ['DELETE', undefined],
      ['GET', undefined],
    ] as const) {
      for (const id of [sha256, 'e'.repeat(64)]) {
        expect(await problemOf(await datasets.call(method, `private/images/${id}`, body))).toEqual({
          status: 404,
          code: 'not_found',
        });
      }
    }
    const left = await datasets.served.api.database.query(
      'SELECT reason, actor FROM image_corrections WHERE sha256 = $1',
      [sha256],
    );
    expect(left).toEqual([{ reason: null, actor: null }]);
  });

  it.each([{ label: '' }, { label: 'a/b' }, { label: 7 }, {}, { label: 'grass', reason: ' ' }, { labels: 'grass' }])(
    'is not changed by %j',
    async (body) => {
      const response = await datasets.call('PATCH', `private/images/${'e'.repeat(64)}`, body);
      expect(await problemOf(response)).toEqual({ status: 400, code: 'bad_request' });
    },
  );
});

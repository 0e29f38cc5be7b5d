import { renameSync } from 'node:fs';
import { z } from 'zod';
import { datasetSourceViewSchema } from '../../../../contracts/datasets/sources.js';
import { pageOf } from '../../../../contracts/http/page.js';
import { createAuditStore } from '../../../../stores/audit/audit.js';
import { detailOf, startDatasetFixture, type DatasetFixture } from '../../../support/dataset-fixture.js';
import { classFolders, patternImage, type IngestionFixture } from '../../../support/ingestion-fixture.js';
import { problemOf } from '../../../support/served-api.js';

let datasets: DatasetFixture;
let ingestion: IngestionFixture;
beforeAll(async () => {
  datasets = await startDatasetFixture();
  ({ ingestion } = datasets);
});
afterAll(() => datasets.stop());

describe('a source of a dataset', () => {
  it('is listed with what its last scan found', async () => {
    const { folder } = await datasets.prepare('listed', 40_000);
    await datasets.upload('listed', 'grass', await patternImage(40_100));
    const [uploaded, scanned] = await datasets.sourcesOf('listed');
    expect(scanned).toMatchObject({
      kind: 'folder',
      locator: folder,
      state: 'attached',
      missing: false,
      images: 12,
      labels: { dandelion: 6, grass: 6 },
      quarantined: 0,
    });
    expect(uploaded).toMatchObject({ kind: 'upload', images: 1, labels: { grass: 1 } });
    const page = await (await datasets.call('GET', 'listed/sources?limit=1')).json();
    const { next_page_token: token } = z.object({ next_page_token: z.string() }).parse(page);
    const next = pageOf(datasetSourceViewSchema).parse(
      await (await datasets.call('GET', `listed/sources?page_token=${token}`)).json(),
    );
    expect(next.items.map(({ id }) => id)).toEqual([scanned?.id]);
    expect(await (await datasets.call('GET', `listed/sources/${scanned?.id}`)).json()).toMatchObject({
      locator: folder,
    });
    for (const path of ['listed/sources/99999', 'nowhere/sources', `nowhere/sources/${scanned?.id}`]) {
      expect(await problemOf(await datasets.call('GET', path))).toEqual({ status: 404, code: 'not_found' });
    }
  });

  it('that was moved and ingested again is seen as missing, and detaching it ends the conflicts', async () => {
    const { folder } = await datasets.prepare('moved', 41_000);
    const place = `${folder}-elsewhere`;
    renameSync(folder, place);
    renameSync(`${place}/grass`, `${place}/meadow`);
    const run = await ingestion.ingest({ kind: 'folder', path: place }, 'moved');
    expect(run.conflicts).toBe(6);
    const [, gone] = await datasets.sourcesOf('moved');
    expect(gone).toMatchObject({ locator: folder, missing: true });
    expect(gone?.missing_since).not.toBeNull();
    const wayOut = `detach its former place: DELETE /api/v1/datasets/moved/sources/${gone?.id}`;
    expect(run.conflictAdvice).toContain(`Source ${gone?.id} (folder ${folder}, no longer there) says "grass"`);
    expect(run.conflictAdvice).toContain(wayOut);
    const { conflicts } = await datasets.versionOf('moved', run.version);
    expect(conflicts).toHaveLength(6);
    expect(conflicts[0]?.remedy).toContain(wayOut);

    const change = await datasets.change('DELETE', `moved/sources/${gone?.id}?reason=moved`);
    expect(change).toMatchObject({ changed: true, conflicts: 0, images: 12, classes: { dandelion: 6, meadow: 6 } });
    expect(await datasets.change('DELETE', `moved/sources/${gone?.id}`)).toMatchObject({
      changed: false,
      version: change.version,
    });
    expect((await datasets.sourcesOf('moved'))[1]).toMatchObject({ state: 'detached', images: 0, replaced_by: null });
    const audit = await createAuditStore(datasets.served.api.database).list({ limit: 5, action: 'source.detach' });
    expect(audit.items).toMatchObject([
      { subject: `datasets/moved/sources/${gone?.id}`, after: { reason: 'moved', version: change.version } },
    ]);
    expect(await ingestion.datasets.rescanTargets('moved')).toEqual([{ kind: 'folder', path: place }]);
  });

  it('is replaced in one version by the ingestion that names it', async () => {
    const { folder } = await datasets.prepare('replaced', 42_000);
    const [{ id } = { id: 0 }] = await datasets.sourcesOf('replaced');
    const place = `${folder}-elsewhere`;
    renameSync(folder, place);
    renameSync(`${place}/grass`, `${place}/meadow`);
    await expect(ingestion.ingest({ kind: 'folder', path: folder }, 'replaced')).rejects.toThrow(`"replaces": ${id}`);
    const run = await ingestion.ingest({ kind: 'folder', path: place }, 'replaced', id);
    expect(run).toMatchObject({ version: 2, conflicts: 0, conflictAdvice: null });
    expect(run.statistics.classes).toEqual({ dandelion: 6, meadow: 6 });
    const [current, former] = await datasets.sourcesOf('replaced');
    expect(former).toMatchObject({ id, state: 'detached', replaced_by: current?.id });
    const start = await fetch(`${datasets.served.url}/api/v1/pipelines/ingestion`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ dataset: 'replaced', source: { kind: 'folder', path: place }, replaces: id }),
    });
    expect(start.status).toBe(409);
    expect(await detailOf(start)).toContain(`was replaced by source ${current?.id}`);
  });

  it('leaves images that another source holds', async () => {
    const { folder } = await datasets.prepare('shared', 43_000);
    const more = await classFolders({ dandelion: 6, grass: 8 }, 43_000);
    await ingestion.ingest({ kind: 'folder', path: ingestion.folder(more) }, 'shared');
    const first = (await datasets.sourcesOf('shared')).find(({ locator }) => locator === folder);
    expect(await datasets.change('DELETE', `shared/sources/${first?.id}`)).toMatchObject({ images: 14, version: 2 });
  });

  it('is not detached while an ingestion is in progress, nor when no image would be left', async () => {
    await datasets.prepare('busy', 44_000);
    const [{ id } = { id: 0 }] = await datasets.sourcesOf('busy');
    const last = await datasets.call('DELETE', `busy/sources/${id}`);
    expect(last.status).toBe(409);
    expect(await detailOf(last)).toContain('No image would be left in dataset busy');
    expect((await datasets.sourcesOf('busy'))[0]).toMatchObject({ state: 'attached' });
    const running = { dataset: 'busy', kind: 'folder', locator: '/x', isDefault: false, note: null } as const;
    await ingestion.deps.ingestions.open({ id: 'run-of-busy', ...running });
    const refused = await datasets.call('DELETE', `busy/sources/${id}`);
    expect(refused.status).toBe(409);
    expect(await detailOf(refused)).toContain('POST /api/v1/pipelines/run-of-busy/cancel');
    await ingestion.deps.ingestions.abandon('run-of-busy');
  });

  it('of labels is not attached again by itself once it was detached', async () => {
    const { db } = ingestion.database;
    await datasets.prepare('labelled', 45_000);
    await db.query(
      `INSERT INTO dataset_sources (dataset, kind, locator, is_default, detached_at)
       VALUES ('labelled', 'labels', 'detached_model', false, now()), ('labelled', 'labels', 'known_model', false, NULL)`,
    );
    for (const model of ['detached_model', 'known_model']) await addLabel(model);
    expect(await ingestion.datasets.newLabels('labelled')).toEqual([{ kind: 'labels', model: 'known_model' }]);
  });
});

async function addLabel(modelName: string): Promise<void> {
  await ingestion.database.db.query(
    `INSERT INTO label_decisions (prediction_id, prediction_created_at, model_name, version, predicted, decision, label)
     VALUES (gen_random_uuid(), now(), $1, 1, 'grass', 'label', 'grass')`,
    [modelName],
  );
}

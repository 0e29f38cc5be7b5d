import { writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Source } from '../../../../contracts/datasets/datasets.js';
import { zipOf } from '../../../support/archives.js';
import { startDatasetFixture, type DatasetFixture } from '../../../support/dataset-fixture.js';
import { classFolders } from '../../../support/ingestion-fixture.js';

let datasets: DatasetFixture;
beforeAll(async () => {
  datasets = await startDatasetFixture();
});
afterAll(() => datasets.stop());

/** A place of images, and what removes it. */
interface Placed {
  source: Source;
  remove: () => Promise<unknown>;
}

async function placeFolder(files: Record<string, Uint8Array>): Promise<Placed> {
  const path = datasets.ingestion.folder(files);
  return Promise.resolve({ source: { kind: 'folder', path }, remove: renaming(path) });
}

async function placeArchive(files: Record<string, Uint8Array>): Promise<Placed> {
  const path = join(datasets.ingestion.folder({}), 'flowers.zip');
  writeFileSync(path, zipOf(Object.entries(files).map(([name, content]) => ({ name, content }))));
  return Promise.resolve({ source: { kind: 'archive', path }, remove: renaming(path) });
}

async function placeTable(files: Record<string, Uint8Array>): Promise<Placed> {
  const rows = Object.keys(files).map((file) => `${file},${file.split('/')[0] ?? ''}`);
  const path = join(datasets.ingestion.folder(files), 'labels.csv');
  writeFileSync(path, ['file,label', ...rows].join('\n'));
  return Promise.resolve({ source: { kind: 'csv', path }, remove: renaming(path) });
}

async function placePrefix(files: Record<string, Uint8Array>): Promise<Placed> {
  const { objects } = datasets.ingestion.deps;
  for (const [name, content] of Object.entries(files)) await objects.put(`incoming/gone/${name}`, content);
  const source = { kind: 's3', prefix: 'incoming/gone/' } as const;
  return { source, remove: () => objects.deletePrefix('incoming/gone/') };
}

function renaming(path: string): Placed['remove'] {
  return () => rename(path, `${path}-elsewhere`);
}

describe('a source that has vanished', () => {
  it.each([
    ['folder', placeFolder],
    ['archive', placeArchive],
    ['csv', placeTable],
    ['s3', placePrefix],
  ] as const)('is shown as missing, and its error says what to do: %s', async (kind, place) => {
    const dataset = `vanished-${kind}`;
    const { source, remove } = await place(await classFolders({ dandelion: 6, grass: 6 }));
    await datasets.ingestion.ingest(source, dataset);
    const [before] = await datasets.sourcesOf(dataset);
    expect(before).toMatchObject({ kind, missing: false, missing_since: null });
    await remove();
    expect((await datasets.sourcesOf(dataset))[0]).toMatchObject({ missing: true, images: 12 });
    await expect(datasets.ingestion.ingest(source, dataset)).rejects.toThrow(
      `It is source ${before?.id} of dataset ${dataset}. If it was moved, ingest its new place with "replaces"`,
    );
    const [after] = await datasets.sourcesOf(dataset);
    expect(after?.missing_since).not.toBeNull();
  });

  it('is noticed by the next ingestion of another source', async () => {
    const { source, remove } = await placeTable(await classFolders({ dandelion: 6, grass: 6 }, 600));
    await datasets.ingestion.ingest(source, 'noticed');
    await remove();
    const other = datasets.ingestion.folder(await classFolders({ dandelion: 6, grass: 6 }, 700));
    await datasets.ingestion.ingest({ kind: 'folder', path: other }, 'noticed');
    const [present, gone] = await datasets.sourcesOf('noticed');
    expect(present).toMatchObject({ missing: false, missing_since: null });
    expect(gone).toMatchObject({ kind: 'csv', missing: true });
    expect(gone?.missing_since).not.toBeNull();
  });
});

import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import type { BatchRow } from '../../../../contracts/batch-predictions/batch-predictions.js';
import { createResultFile } from '../../../../model/predictions/result-files.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

const labels = ['dandelion', 'grass'];

function rowOf(item: number): BatchRow {
  const seen = {
    imageSha256: 'a'.repeat(64),
    prediction: 'grass',
    confidence: 0.75,
    probabilities: [0.25, 0.75],
    variant: 'int8' as const,
    abstained: item % 2 === 0,
    unfamiliar: false,
    distance: item / 7,
    errorCode: null,
    error: null,
  };
  const unseen = {
    imageSha256: null,
    prediction: null,
    confidence: null,
    probabilities: [],
    variant: null,
    abstained: null,
    unfamiliar: null,
    distance: null,
  };
  const common = { item, name: `incoming/Löwenzahn ${item}.jpg`, label: null };
  return item % 3 === 2
    ? { ...common, ...unseen, errorCode: 'undecodable_image', error: 'It is "damaged",\r\nso to say.' }
    : { ...common, ...seen };
}

const folder = temporaryFolder();

it('writes the same rows in each format, in groups that fit into memory', async () => {
  const rows = Array.from({ length: 25_000 }, (_, item) => rowOf(item));
  for (const format of ['parquet', 'csv', 'json'] as const) {
    const file = createResultFile(format, join(folder, format), labels);
    for (let from = 0; from < rows.length; from += 100) await file.write(rows.slice(from, from + 100));
    await file.close();
  }
  const json: unknown = JSON.parse(await readFile(join(folder, 'json'), 'utf8'));
  const parquet = await asyncBufferFromFile(join(folder, 'parquet'));
  const metadata = await parquetMetadataAsync(parquet);
  expect(metadata.row_groups.length).toBe(3);
  expect(await parquetReadObjects({ file: parquet, metadata })).toEqual(json);
  const unseen = { abstained: null, unfamiliar: null, error_code: 'undecodable_image', probability_grass: null };
  expect(json).toMatchObject({ length: 25_000, 2: unseen });
  const csv = await readFile(join(folder, 'csv'), 'utf8');
  expect(csv.split('\r\n')[0]).toBe(
    'item,name,image_sha256,label,prediction,confidence,variant,abstained,unfamiliar,distance,error_code,error,probability_dandelion,probability_grass',
  );
  expect(csv).toContain('Löwenzahn 2.jpg,,,,,,,,,undecodable_image,');
  expect(csv.match(/Löwenzahn/g)).toHaveLength(25_000);
});

it.each(['parquet', 'csv', 'json'] as const)('writes a file of no rows as %s', async (format) => {
  const path = join(folder, `none.${format}`);
  await createResultFile(format, path, labels).close();
  if (format === 'json') expect(JSON.parse(await readFile(path, 'utf8'))).toEqual([]);
  if (format === 'csv') expect((await readFile(path, 'utf8')).split('\r\n')).toHaveLength(2);
  if (format === 'parquet') {
    const { num_rows: rows, schema } = await parquetMetadataAsync(await asyncBufferFromFile(path));
    expect([Number(rows), schema.length]).toEqual([0, 15]);
  }
});

it('rejects when the file cannot be written', async () => {
  const file = createResultFile('csv', join(folder, 'nowhere', 'x.csv'), labels);
  await expect(file.write([rowOf(0)]).then(() => file.close())).rejects.toThrow(/ENOENT/);
});

it.each(['parquet', 'csv', 'json'] as const)('leaves no file open that is not completed, as %s', async (format) => {
  const path = join(folder, `abandoned.${format}`);
  const file = createResultFile(format, path, labels);
  await file.write([rowOf(0)]);
  await file.abandon();
  expect(await openFiles()).not.toContain(path);
  await file.abandon();
});

/** Paths of what this process has open. */
async function openFiles(): Promise<string[]> {
  const paths = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return Promise.all(paths);
}

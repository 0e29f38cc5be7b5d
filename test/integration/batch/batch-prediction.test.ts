import { createHash, randomUUID } from 'node:crypto';
import { parquetReadObjects } from 'hyparquet';
import { z } from 'zod';
import {
  batchPredictionViewSchema,
  batchUploadViewSchema,
} from '../../../contracts/batch-predictions/http-batch-predictions.js';
import { pipelineSchema } from '../../../contracts/pipelines/http-pipelines.js';
import { pageOf } from '../../../contracts/http/page.js';
import { problemSchema } from '../../../contracts/http/problem.js';
import type { ModelVersion } from '../../../contracts/registry/registry.js';
import { batchPrefix, rawImageKey } from '../../../stores/objects/object-keys.js';
import { poll } from '../../support/api-client.js';
import { startBatchFixture, type BatchView, type BatchFixture } from '../../support/batch-fixture.js';
import { commitImages, factsOf } from '../../support/dataset-version.js';
import { patternImage } from '../../support/ingestion-fixture.js';
import { redImage } from '../../support/served-api.js';

const rowsSchema = z.array(z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])));
type Rows = z.output<typeof rowsSchema>;

describe('batch predictions over HTTP', () => {
  let fixture: BatchFixture;
  let version: ModelVersion;

  beforeAll(async () => {
    fixture = await startBatchFixture();
    await fixture.startWorker();
  });
  afterAll(() => fixture.stop());

  const put = (key: string, bytes: Uint8Array | string): Promise<void> =>
    fixture.served.api.objects.put(key, Buffer.from(bytes));
  const refusal = async (body: object): Promise<string> => {
    const answer = await fixture.start(body);
    return `${answer.status} ${problemSchema.parse(answer.body).code}`;
  };
  const result = (job: BatchView, format: string): Promise<Response> =>
    fetch(`${fixture.served.url}/api/v1/batch-predictions/${job.id}/results.${format}`);

  /** Asserts that all formats have the same rows and that headers and digests are right; returns the rows. */
  const rowsOf = async (job: BatchView): Promise<Rows> => {
    const [parquet, csv, json] = await Promise.all(['parquet', 'csv', 'json'].map((format) => result(job, format)));
    if (!parquet || !csv || !json) throw new Error('a format is missing');
    expect(parquet.headers.get('content-type')).toBe('application/vnd.apache.parquet');
    expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(csv.headers.get('content-disposition')).toBe(`attachment; filename="batch-prediction-${job.id}.csv"`);
    const bytes = await parquet.arrayBuffer();
    const listed = job.results.find(({ format }) => format === 'parquet');
    expect(listed?.sha256).toBe(createHash('sha256').update(new Uint8Array(bytes)).digest('hex'));
    const rows = rowsSchema.parse(await json.json());
    expect(rowsSchema.parse(await parquetReadObjects({ file: bytes }))).toEqual(rows);
    const [header = [], ...lines] = parseCsv(await csv.text());
    expect(lines.map((line) => Object.fromEntries(header.map((name, index) => [name, line[index] ?? ''])))).toEqual(
      rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, asCsvHasIt(cell)]))),
    );
    return rows;
  };

  it('are refused while no version is in Production', async () => {
    await put('first/a.png', await redImage());
    expect(await refusal({ source: { kind: 'prefix', prefix: 'first/' } })).toBe('503 no_model');
    version = await fixture.served.registerTiny();
    await fixture.served.promote(version);
  });

  it('predict every object below a prefix, with an error for each that is no image', async () => {
    for (let number = 0; number < 20; number += 1)
      await put(`incoming/${String(number).padStart(2, '0')}.jpg`, await patternImage(number));
    await put('incoming/a "rose", red.png', await redImage());
    await put('incoming/broken.jpg', (await patternImage(99)).subarray(0, 120));
    await put('incoming/notes, "for" people.txt', 'no picture\r\n');
    await put('incoming/folder/', '');
    const started = await fixture.start({ source: { kind: 'prefix', prefix: 'incoming/' } });
    expect(started.status).toBe(202);
    const { id, status_url } = batchPredictionViewSchema.parse(started.body);
    expect(started.location).toBe(status_url);
    const job = await fixture.ended(id);
    expect(job).toMatchObject({ status: 'completed', total: 23, done: 23, failed: 2, error: null });
    expect(job.model_version).toBe(String(version.version));
    const rows = await rowsOf(job);
    expect(rows.map(({ item }) => item)).toEqual(rows.map((_, index) => index));
    const byName = new Map(rows.map((row) => [row['name'], row]));
    expect(byName.get('incoming/a "rose", red.png')).toMatchObject({
      prediction: 'dandelion',
      abstained: false,
      unfamiliar: false,
      error: null,
    });
    const unseen = { prediction: null, confidence: null, abstained: null, unfamiliar: null, probability_grass: null };
    expect(byName.get('incoming/broken.jpg')).toMatchObject({ ...unseen, error_code: 'undecodable_image' });
    expect(byName.get('incoming/notes, "for" people.txt')).toMatchObject({ ...unseen, error_code: 'unsupported_type' });
    expect(byName.has('incoming/folder/')).toBe(false);
    const predicted = rows.flatMap(({ prediction }) => (typeof prediction === 'string' ? [prediction] : []));
    expect(Object.values(job.predicted).reduce((sum, count) => sum + count, 0)).toBe(predicted.length);
  });

  it('leave only results in the bucket, a row in the audit log, a notification, and a pipeline', async () => {
    const { database, objects } = fixture.served.api;
    const list = await (await fetch(`${fixture.served.url}/api/v1/batch-predictions?status=completed`)).json();
    const [job] = pageOf(batchPredictionViewSchema).parse(list).items;
    if (!job) throw new Error('no job is listed');
    const keys: string[] = [];
    for await (const { key } of objects.list(batchPrefix(job.id))) keys.push(key.slice(batchPrefix(job.id).length));
    expect(keys.sort()).toEqual(['results.csv', 'results.json', 'results.parquet']);
    const audited = await database.query('SELECT action FROM audit_log WHERE subject = $1', [
      `batch-predictions/${job.id}`,
    ]);
    expect(audited).toEqual([{ action: 'batch_prediction.start' }]);
    const told = await database.query(
      `SELECT kind, payload ->> 'failed' AS failed FROM outbox WHERE kind LIKE '%batch%'`,
    );
    expect(told).toEqual([{ kind: 'batch_prediction.completed', failed: '2' }]);
    // The run ends a moment after its job.
    const pipeline = await poll(
      async () => pipelineSchema.parse(await (await fetch(fixture.served.url + (job.pipeline_url ?? ''))).json()),
      ({ status }) => status !== 'running',
    );
    expect(pipeline).toMatchObject({
      workflow: 'batchPredict',
      status: 'completed',
      steps: [{ name: 'list_items' }, { name: 'predict' }, { name: 'merge_results' }],
      result: { batch_prediction_id: job.id, items: 23, failed: 2 },
    });
  });

  it('predict a version of a dataset, with the classes it has', async () => {
    await commitImages(fixture.served.api.database, 'flowers', { dandelion: [1, 2, 3, 4], grass: [5, 6, 7, 8] });
    for (let number = 1; number <= 8; number += 1)
      await put(rawImageKey(factsOf(number).md5), await patternImage(number));
    const source = { kind: 'dataset', dataset: 'flowers' };
    const job = await fixture.ended((await fixture.started({ source, formats: ['parquet', 'csv', 'json'] })).id);
    expect(job).toMatchObject({ status: 'completed', total: 8, failed: 0, source: { ...source, version: 1 } });
    const rows = await rowsOf(job);
    expect(rows.map(({ name, label }) => [name, label])).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8].map((number) => [factsOf(number).sha256, number < 5 ? 'dandelion' : 'grass']),
    );
    expect(await refusal({ source: { ...source, version: 7 } })).toBe('404 not_found');
  });

  it('predict uploaded images, and delete them afterwards', async () => {
    const form = new FormData();
    for (const name of ['one.png', '=1+cmd|calc.png'])
      form.append('files', new Blob([new Uint8Array(await redImage())]), name);
    const sent = await fetch(`${fixture.served.url}/api/v1/batch-predictions/uploads`, { method: 'POST', body: form });
    expect(sent.status).toBe(201);
    const { upload_id } = batchUploadViewSchema.parse(await sent.json());
    const source = { kind: 'upload', upload_id };
    const job = await fixture.ended((await fixture.started({ source, formats: ['csv'] })).id);
    const [, ...lines] = parseCsv(await (await result(job, 'csv')).text());
    // A spreadsheet would run the second name, were it not for the apostrophe.
    expect(lines.map((line) => [line[1], line[4]])).toEqual([
      ['one.png', 'dandelion'],
      ["'=1+cmd|calc.png", 'dandelion'],
    ]);
    expect((await result(job, 'json')).status).toBe(404);
    expect(await refusal({ source })).toBe('409 conflict');
  });

  it('are started once for an Idempotency-Key, also when another version serves meanwhile', async () => {
    const body = { source: { kind: 'prefix', prefix: 'first/' } };
    const key = randomUUID();
    const [one, other] = await Promise.all([fixture.start(body, key), fixture.start(body, key)]);
    const { id } = batchPredictionViewSchema.parse(one.body);
    expect(other.body).toMatchObject({ id });
    await fixture.served.promote(await fixture.served.registerTiny({ bias: 1 }));
    expect((await fixture.start(body, key)).body).toMatchObject({ id, model_version: String(version.version) });
    const another = await fixture.start({ source: { kind: 'prefix', prefix: 'incoming/' } }, key);
    expect(another.status).toBe(409);
    expect((await fixture.ended(id)).status).toBe('completed');
  });

  it('are also started by POST /predict/batch when it names a source', async () => {
    const body = { source: { kind: 'prefix', prefix: 'first/' } };
    const key = randomUUID();
    const response = await fetch(`${fixture.served.url}/predict/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
    const { id } = batchPredictionViewSchema.parse(await response.json());
    expect([response.status, response.headers.get('location')]).toEqual([202, `/api/v1/batch-predictions/${id}`]);
    expect((await fixture.start(body, key)).body).toMatchObject({ id });
    expect((await fixture.ended(id)).status).toBe('completed');
  });

  it('reject a reserved prefix and an empty one', async () => {
    for (const prefix of ['models/', 'mod', 'raw/files', 'a/../models/', '/incoming/', 'a\u0000b']) {
      expect(await refusal({ source: { kind: 'prefix', prefix } })).toBe('400 bad_request');
    }
    expect(await refusal({ source: { kind: 'prefix', prefix: 'nothing-here/' } })).toBe('422 source_empty');
    expect(await refusal({ source: { kind: 'upload', upload_id: randomUUID() } })).toBe('404 not_found');
    expect(await refusal({ source: { kind: 'prefix', prefix: 'first/' }, version: '99' })).toBe('404 not_found');
    expect((await fetch(`${fixture.served.url}/api/v1/batch-predictions/${randomUUID()}`)).status).toBe(404);
  });
});

/** A cell as it is read back from CSV: formulas have an apostrophe in front. */
function asCsvHasIt(cell: string | number | boolean | null): string {
  if (cell === null) return '';
  return typeof cell === 'string' && /^[=+\-@]/.test(cell) ? `'${cell}` : String(cell);
}

/** An independent reader of RFC 4180, so that writer and reader do not share a mistake. */
function parseCsv(text: string): string[][] {
  const lines: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    lines.at(-1)?.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
    if (end === '\r\n') lines.push([]);
  }
  return lines.slice(0, -1);
}

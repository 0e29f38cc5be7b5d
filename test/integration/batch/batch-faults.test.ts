import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Context } from '@temporalio/activity';
import { parquetReadObjects } from 'hyparquet';
import { PerennialError } from '../../../contracts/errors.js';
import { batchUploadViewSchema } from '../../../contracts/batch-predictions/http-batch-predictions.js';
import type { ModelVersion } from '../../../contracts/registry/registry.js';
import { batchPrefix, batchResultKey } from '../../../stores/objects/object-keys.js';
import { startBatchFixture, type BatchView, type BatchFixture } from '../../support/batch-fixture.js';
import type { AllActivities } from '../../support/fake-activities.js';
import { tester } from '../../support/measurements.js';
import { patternImage } from '../../support/ingestion-fixture.js';
import { startProgram } from '../../support/program.js';
import { sha256Of } from '../../support/training-fixtures.js';

const program = new URL('../../support/programs/batch-worker.js', import.meta.url).pathname;
const source = { kind: 'prefix', prefix: 'many/' };
const many = 450;

describe('a batch prediction in trouble', () => {
  let fixture: BatchFixture;
  let version: ModelVersion;

  beforeAll(async () => {
    fixture = await startBatchFixture();
    const { objects } = fixture.served.api;
    for (let from = 0; from < many; from += 50) {
      const numbers = Array.from({ length: 50 }, (_, index) => from + index);
      await Promise.all(numbers.map(async (number) => objects.put(`many/${number}.jpg`, await patternImage(number))));
    }
    version = await fixture.served.registerTiny();
    await fixture.served.promote(version);
  });
  afterAll(() => fixture.stop());

  const rowsOf = async (job: BatchView): Promise<Record<string, unknown>[]> => {
    const answer = await fetch(`${fixture.served.url}${job.status_url}/results.parquet`);
    return parquetReadObjects({ file: await answer.arrayBuffer() });
  };
  const partsOf = async (job: BatchView): Promise<Map<unknown, unknown>> => {
    const rows = await fixture.served.api.database.query(
      'SELECT chunk, object_key FROM batch_prediction_chunks WHERE job_id = $1',
      [job.id],
    );
    return new Map(rows.map(({ chunk, objectKey }) => [chunk, objectKey]));
  };

  const eraseImage = (sha256: string): Promise<Response> =>
    fetch(`${fixture.served.url}/api/v1/erasures`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'image', id: sha256, reason: 'the person asked for it' }),
    });

  it('continues where its killed worker stopped, and repeats no finished chunk', async () => {
    const mortal = startProgram([program], fixture.environment);
    await mortal.line(/^up$/);
    const job = await fixture.started({ source, formats: ['parquet'] });
    await mortal.line(/^done /);
    mortal.process.kill('SIGKILL');
    await mortal.ended;
    const former = await partsOf(job);
    expect(former.size).toBeGreaterThan(0);
    expect(former.size).toBeLessThan(5);
    await fixture.startWorker();
    const ended = await fixture.ended(job.id);
    await fixture.stopWorker();
    expect(ended).toMatchObject({ status: 'completed', total: many, done: many, failed: 0 });
    const parts = await partsOf(job);
    expect(parts.size).toBe(5);
    // Each attempt at a chunk writes under a different key: the same key is the same attempt.
    for (const [chunk, key] of former) expect(parts.get(chunk)).toBe(key);
    const rows = await rowsOf(ended);
    expect(rows.map(({ item }) => item)).toEqual(Array.from({ length: many }, (_, item) => item));
    expect(new Set(rows.map(({ name }) => name)).size).toBe(many);
  });

  it('keeps the results so far when it is cancelled', async () => {
    await fixture.startWorker((activities) => ({ ...activities, predictBatchChunk: stopAfter(1, activities) }));
    const { id } = await fixture.started({ source });
    await fixture.reached(id, ({ done }) => done === 200);
    const asked = await fetch(`${fixture.served.url}/api/v1/batch-predictions/${id}/cancel`, { method: 'POST' });
    expect(asked.status).toBe(202);
    const job = await fixture.ended(id);
    await fixture.stopWorker();
    expect(job).toMatchObject({ status: 'cancelled', done: 200, total: many, error: { code: 'cancelled' } });
    expect(await rowsOf(job)).toHaveLength(200);
    const again = await fetch(`${fixture.served.url}/api/v1/batch-predictions/${id}/cancel`, { method: 'POST' });
    expect(again.status).toBe(409);
    const audited = await fixture.served.api.database.query(
      `SELECT before ->> 'done' AS done FROM audit_log WHERE action = 'batch_prediction.cancel'`,
    );
    expect(audited).toEqual([{ done: '200' }]);
  });

  it('reports in one message that its version was deleted meanwhile', async () => {
    const other = await fixture.served.registerTiny({ bias: 3 });
    const { id } = await fixture.started({ source, version: String(other.version) });
    expect((await fetch(`${fixture.served.url}/api/v1/batch-predictions/${id}/results.csv`)).status).toBe(409);
    await fixture.served.registry.markDeleted(other.modelName, other.version, {
      by: tester,
      reason: 'test',
      ifRevision: null,
    });
    await fixture.startWorker();
    const job = await fixture.ended(id);
    expect(job).toMatchObject({ status: 'failed', error: { code: 'not_found' } });
    expect(job.error?.message).toContain(`Version ${other.version} of ${other.modelName} was deleted`);
    const told = await fixture.served.api.database.query(`SELECT kind FROM outbox WHERE kind LIKE '%failed'`);
    expect(told).toEqual([{ kind: 'batch_prediction.failed' }]);
  });

  it('deletes its results when an image in them is erased, and does not predict that image again', async () => {
    const { id } = await fixture.ended((await fixture.started({ source: { ...source, prefix: 'many/1' } })).id);
    expect((await eraseImage(sha256Of(await patternImage(17)))).status).toBe(200);
    const job = await fixture.job(id);
    expect(job.results).toEqual([]);
    expect(job.erased_at).not.toBeNull();
    expect((await fetch(`${fixture.served.url}${job.status_url}/results.csv`)).status).toBe(404);
    for await (const { key } of fixture.served.api.objects.list(batchPrefix(id))) throw new Error(`${key} is left`);
    const later = await fixture.ended((await fixture.started({ source: { ...source, prefix: 'many/17' } })).id);
    const rows = await rowsOf(later);
    expect(later).toMatchObject({ status: 'completed', total: 11, failed: 1, erased_at: null });
    expect(rows.find(({ name }) => name === 'many/17.jpg')).toMatchObject({ prediction: null, image_sha256: null });
  });

  it('keeps the files of an upload for another job that needs them', async () => {
    await fixture.stopWorker();
    const form = new FormData();
    form.append('files', new Blob([new Uint8Array(await patternImage(1))]), 'one.jpg');
    const sent = await fetch(`${fixture.served.url}/api/v1/batch-predictions/uploads`, { method: 'POST', body: form });
    const { upload_id } = batchUploadViewSchema.parse(await sent.json());
    const { database } = fixture.served.api;
    const job = await fixture.started({ source: { kind: 'upload', upload_id } });
    await database.query(
      `INSERT INTO batch_predictions (id, model_name, job_order, request, started_by, workflow_id)
       SELECT gen_random_uuid(), model_name, job_order, request, started_by, 'another' FROM batch_predictions WHERE id = $1`,
      [job.id],
    );
    await fixture.startWorker();
    expect(await fixture.ended(job.id)).toMatchObject({ status: 'completed', failed: 0 });
    await database.query(`UPDATE batch_predictions SET status = 'cancelled' WHERE workflow_id = 'another'`);
    // Would be refused if the first job had deleted them.
    const later = await fixture.ended((await fixture.started({ source: { kind: 'upload', upload_id } })).id);
    await fixture.stopWorker();
    expect(later).toMatchObject({ status: 'completed', failed: 0 });
    expect((await fixture.start({ source: { kind: 'upload', upload_id } })).status).toBe(409);
  });

  it('deletes results that were written while an image in them was erased', async () => {
    const { objects } = fixture.served.api;
    let attempts = 0;
    await fixture.startWorker((activities) => ({
      ...activities,
      async mergeBatchResults(input) {
        attempts += 1;
        if (attempts > 1) return activities.mergeBatchResults(input);
        expect((await eraseImage(sha256Of(await patternImage(443)))).status).toBe(200);
        // Like an attempt that started before the erasure: first the files, then the database row, which is refused.
        await objects.put(batchResultKey(input.jobId, 'csv'), Buffer.from('what it shows'));
        throw new PerennialError('conflict', 'The batch prediction was erased.');
      },
    }));
    const job = await fixture.ended((await fixture.started({ source: { ...source, prefix: 'many/44' } })).id);
    await fixture.stopWorker();
    expect(job).toMatchObject({ status: 'failed', error: { code: 'conflict' }, results: [] });
    for await (const { key } of objects.list(batchPrefix(job.id))) throw new Error(`${key} is left`);
  });

  it('survives a crash of the inference process, which has low priority', async () => {
    const image = await patternImage(1);
    await fixture.engines.use(version, async (engine) => {
      const before = await engine.predict(image);
      const { pid, niceness } = await backgroundChild();
      expect(niceness).toBeGreaterThanOrEqual(15);
      process.kill(pid, 'SIGKILL');
      expect(await engine.predict(image)).toEqual(before);
      expect((await backgroundChild()).pid).not.toBe(pid);
    });
  });
});

/** Chunks after `last` wait until they are cancelled, which a heartbeat brings. */
function stopAfter(last: number, { predictBatchChunk }: AllActivities): AllActivities['predictBatchChunk'] {
  return async (input) => {
    if (input.chunk <= last) return predictBatchChunk(input);
    const context = Context.current();
    const beat = setInterval(() => context.heartbeat(), 200);
    return context.cancelled.finally(() => clearInterval(beat));
  };
}

/** The background inference process of this process. */
async function backgroundChild(): Promise<{ pid: number; niceness: number }> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,ni=,stat=,args=']);
  const own = stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(
      (line) =>
        Number(line[1]) === process.pid &&
        line[3]?.startsWith('Z') === false &&
        line.join(' ').includes('background-child'),
    );
  return { pid: Number(own?.[0]), niceness: Number(own?.[2]) };
}

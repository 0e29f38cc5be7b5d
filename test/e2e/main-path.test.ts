import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { retrainingSteps } from '../../contracts/names.js';
import { drawSyntheticImage } from '../../model/images/synthetic.js';
import { startProduct, type RunningProduct } from '../support/running-product.js';

const prediction = z.object({ prediction: z.string(), confidence: z.number(), model_version: z.string() });
const retraining = z.object({ outcome: z.string(), summary: z.string(), test: z.object({ accuracy: z.number() }) });
const ingestion = z.object({
  version: z.number(),
  new_images: z.number(),
  is_new_version: z.boolean(),
  files: z.number(),
});

/** No server listens there: the public photographs are unreachable, as on a machine without internet access. */
const offline = { DATASET_DIR: '', PUBLIC_DATASET_URL: 'http://127.0.0.1:9' };

let home: string;
let product: RunningProduct;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'perennial-home-'));
  product = await startProduct(offline, home);
  await product.settled();
}, 180_000);

afterAll(async () => {
  await product.stop();
  await rm(home, { recursive: true, force: true });
});

async function uploadSynthetic(from: number, count: number): Promise<z.infer<typeof ingestion>> {
  const form = new FormData();
  form.append('label', 'grass');
  for (let index = from; index < from + count; index++) {
    form.append('files', new Blob([new Uint8Array(await drawSyntheticImage('grass', index))]), `grass ${index} ü.jpg`);
  }
  const response = await fetch(`${product.url}/api/v1/datasets/dandelion_grass/images`, { method: 'POST', body: form });
  const { run_id } = acceptedSchema.parse(await response.json());
  const ended = await product.api.ended(run_id);
  expect(ended).toMatchObject({ status: 'completed' });
  return ingestion.parse(ended.result);
}

describe('npm start on an empty data folder', () => {
  it('prints every step, that the images are synthetic, and the addresses', () => {
    const output = product.output();
    for (const step of retrainingSteps) expect(output).toContain(step);
    expect(output).toMatch(/synthetic/);
    expect(output).toContain(`${product.url}/docs`);
    expect(output).toMatch(/Temporal Web UI\s+http:\/\/127\.0\.0\.1:\d+/);
    expect(output).toMatch(/accuracy\s+\d\.\d{3}\s+\(95 % interval/);
  });

  it('serves a model that classifies its training images', async () => {
    const path = join(home, 'sample');
    await writeFile(path, await drawSyntheticImage('dandelion', 90_001));
    const { status, body } = await product.api.predict(path);
    expect(status).toBe(200);
    expect(prediction.parse(body)).toMatchObject({ prediction: 'dandelion', model_version: '1' });
  });

  it('registers an unchanged model and refuses its promotion, and two concurrent triggers share a run', async () => {
    const [one, two] = await Promise.all([product.api.startRetraining(), product.api.startRetraining()]);
    expect(two.run_id).toBe(one.run_id);
    expect([one.joined, two.joined].sort()).toEqual([false, true]);
    const ended = await product.api.ended(one.run_id);
    expect(ended.status).toBe('completed');
    const { outcome, summary } = retraining.parse(ended.result);
    expect(outcome).toBe('refused');
    expect(summary).toMatch(/same dataset version/i);
  }, 120_000);

  it('counts ten uploaded files as ten new images, and the same ten again as none', async () => {
    expect(await uploadSynthetic(80_000, 10)).toMatchObject({
      version: 2,
      is_new_version: true,
      files: 10,
      new_images: 10,
    });
    expect(await uploadSynthetic(80_000, 10)).toMatchObject({
      version: 2,
      is_new_version: false,
      files: 10,
      new_images: 0,
    });
  }, 60_000);

  it('shuts down gracefully, leaves no process behind, and serves immediately after a restart', async () => {
    expect(await product.stop()).toBe(0);
    const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'args=']);
    expect(stdout.split('\n').filter((line) => line.includes(home))).toEqual([]);
    product = await startProduct(offline, home);
    await product.settled();
    expect(product.output()).toMatch(/version 1 is being served/);
    expect(product.output()).not.toContain('train_new_model');
  }, 120_000);
});

const datasetDir = process.env['DATASET_DIR'];
const withPhotographs = datasetDir ? describe : describe.skip;

withPhotographs('npm start with DATASET_DIR (set it to run this on photographs)', () => {
  it('trains, promotes and serves a model of these photographs', async () => {
    const real = await startProduct({ DATASET_DIR: datasetDir ?? '' });
    try {
      await real.settled();
      const info = z
        .object({ metrics: z.object({ accuracy: z.number() }) })
        .parse((await real.api.get('/model/info')).body);
      expect(info.metrics.accuracy).toBeGreaterThan(0.85);
    } finally {
      await real.stop();
    }
  }, 240_000);
});

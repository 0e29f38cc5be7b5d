import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { bundleFiles, preprocessingVersions } from '../../../../contracts/registry/bundle.js';
import { errorCodeOf } from '../../../../contracts/errors.js';
import { decodePixels, pixelBytes } from '../../../../model/images/decode.js';
import { createEngine, type Engine, type EngineOptions } from '../../../../model/serving/engine.js';
import type { Job } from '../../../../model/serving/messages.js';
import { ThreadPool } from '../../../../model/serving/thread-pool.js';
import { startThread, type Thread } from '../../../../model/serving/thread.js';
import { flipByte, writeTinyBundle } from '../../../support/tiny-bundle.js';
import { textMatching } from '../../../support/text-matching.js';

const limits = { maxPixels: 1_000_000, maxBytes: 5_000_000, minSide: 8 };
const engines: Engine[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'engine-'));
});

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  await rm(folder, { recursive: true, force: true });
});

async function engineOf(options: Partial<EngineOptions> = {}): Promise<Engine> {
  const engine = await createEngine({ bundleFolder: folder, threads: 2, queueLimit: 100, limits, ...options });
  engines.push(engine);
  return engine;
}

function imageOf(colour: string): Promise<Buffer> {
  return sharp({ create: { width: 50, height: 40, channels: 3, background: colour } })
    .jpeg()
    .toBuffer();
}

const currentPixels = { width: 224, height: 224, colour: 'RGB', layout: 'NHWC', resize: 'fill', mean: 0, std: 255 };

describe('the engine', () => {
  it('predicts an image, with probabilities in label order and the time of each phase', async () => {
    await writeTinyBundle(folder);
    const engine = await engineOf();
    const red = await engine.predictImage(await imageOf('#e00000'));
    expect(red.label).toBe('dandelion');
    expect(red.confidence).toBe(red.probabilities[0]);
    expect(red.probabilities).toHaveLength(2);
    expect(red.probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
    expect(red.phases.decodeMs).toBeGreaterThan(0);
    expect(red.phases.inferMs).toBeGreaterThan(0);
    expect((await engine.predictImage(await imageOf('#00e000'))).label).toBe('grass');
    expect(engine.labels).toEqual(['dandelion', 'grass']);
  });

  it('refuses a model that computes NaN, without a crash', async () => {
    await writeTinyBundle(folder, { bias: NaN });
    const failure = { code: 'bundle_invalid', message: textMatching(/not numbers/) };
    await expect(engineOf()).rejects.toMatchObject(failure);
  });

  it('answers an image and its pixels alike, whatever the batch', async () => {
    await writeTinyBundle(folder, { labels: ['a', 'b', 'c'] });
    const engine = await engineOf();
    const colours = Array.from({ length: 19 }, (_, index) => `hsl(${index * 19}, 80%, 50%)`);
    const images = await Promise.all(colours.map(imageOf));
    const pixels = Buffer.concat(await Promise.all(images.map((image) => decodePixels(image, limits))));
    const rows = (await engine.predictPixels(pixels, images.length)).map(({ probabilities }) => probabilities);
    const predictions = await Promise.all(images.map((image) => engine.predictImage(image)));
    const expected = predictions.flatMap(({ probabilities }) => probabilities);
    expect(rows.flat()).toHaveLength(3 * images.length);
    rows.flat().forEach((value, index) => expect(value).toBeCloseTo(expected[index] ?? NaN, 5));
    expect(new Set(expected.map((value) => value.toFixed(4))).size).toBeGreaterThan(images.length);
  });

  it('serves bundles of every earlier preprocessing with the current one', async () => {
    const bytes = await imageOf('#802000');
    const pixels = await decodePixels(bytes, limits);
    for (const version of [undefined, ...preprocessingVersions]) {
      const preprocessing = JSON.stringify({ ...currentPixels, version });
      await writeTinyBundle(folder, { files: { [bundleFiles.preprocessing]: preprocessing } });
      const engine = await engineOf({ threads: 1, variant: 'fp32' });
      const [expected] = await engine.predictPixels(pixels, 1);
      expect((await engine.predictImage(bytes)).probabilities).toEqual(expected?.probabilities);
    }
  });

  it('refuses a bundle whose preprocessing it does not know', async () => {
    const preprocessing = JSON.stringify({ ...currentPixels, version: 99 });
    await writeTinyBundle(folder, { files: { [bundleFiles.preprocessing]: preprocessing } });
    await expect(engineOf()).rejects.toMatchObject({ code: 'bundle_invalid', message: textMatching(/preprocessing/) });
  });

  it('does not change the bytes of its caller', async () => {
    await writeTinyBundle(folder);
    const engine = await engineOf();
    const bytes = new Uint8Array(await imageOf('#ffffff'));
    const copy = bytes.slice();
    await engine.predictImage(bytes);
    expect(bytes).toEqual(copy);
  });

  it('reports a faulty image or tensor and continues', async () => {
    await writeTinyBundle(folder);
    const engine = await engineOf();
    const good = await imageOf('#e00000');
    await expect(engine.predictImage(Buffer.from('text')).catch(errorCodeOf)).resolves.toBe('unsupported_type');
    await expect(engine.predictImage(good.subarray(0, good.length - 10)).catch(errorCodeOf)).resolves.toBe(
      'undecodable_image',
    );
    await expect(engine.predictPixels(new Uint8Array(pixelBytes), 2).catch(errorCodeOf)).resolves.toBe(
      'invalid_tensor',
    );
    await expect(engine.predictPixels(new Uint8Array(0), 0).catch(errorCodeOf)).resolves.toBe('invalid_tensor');
    expect((await engine.predictImage(good)).label).toBe('dandelion');
  });

  it('refuses requests beyond its queue and answers all it accepted, also when closed meanwhile', async () => {
    await writeTinyBundle(folder);
    const engine = await engineOf({ threads: 1, queueLimit: 5 });
    const image = await imageOf('#e00000');
    const requests = Array.from({ length: 20 }, () =>
      engine.predictImage(image).then(({ label }) => label, errorCodeOf),
    );
    expect(engine.waiting).toBe(5);
    await engine.close();
    const ends = await Promise.all(requests);
    expect(ends.filter((end) => end === 'dandelion')).toHaveLength(6);
    expect(ends.filter((end) => end === 'overloaded')).toHaveLength(14);
    await expect(engine.predictImage(image).catch(errorCodeOf)).resolves.toBe('no_model');
  });

  it('does not load a bundle with one flipped byte', async () => {
    await writeTinyBundle(folder);
    await flipByte(folder, bundleFiles.onnx);
    await expect(engineOf().catch(errorCodeOf)).resolves.toBe('bundle_invalid');
  });

  it('does not load a file that has the right digest but is not a model', async () => {
    const manifest = await writeTinyBundle(folder);
    const junk = Buffer.from('this is no ONNX graph');
    const sha256 = createHash('sha256').update(junk).digest('hex');
    const files = manifest.files.map((file) =>
      file.path === bundleFiles.onnx ? { ...file, sizeBytes: junk.length, sha256 } : file,
    );
    await writeFile(join(folder, bundleFiles.onnx), junk);
    await writeFile(join(folder, bundleFiles.manifest), JSON.stringify({ ...manifest, files }));
    await expect(engineOf().catch(errorCodeOf)).resolves.toBe('bundle_invalid');
  });

  it('does not need its folder once it is loaded', async () => {
    await writeTinyBundle(folder);
    const engine = await engineOf();
    await rm(folder, { recursive: true });
    expect((await engine.predictImage(await imageOf('#e00000'))).label).toBe('dandelion');
  });

  it('can be started and ended many times over in one process', async () => {
    await writeTinyBundle(folder, { bias: 100 });
    const image = await imageOf('#00ff00');
    for (let round = 0; round < 5; round += 1) {
      const engine = await engineOf();
      expect((await engine.predictImage(image)).label).toBe('dandelion');
      await engine.close();
    }
  });
});

describe('a thread that gets a malformed job', () => {
  const malformed = Object.assign({ kind: 'image' as const, bytes: new Uint8Array(1) }, { kind: 'nonsense' });
  const start = async (): Promise<Thread> =>
    startThread({ model: await readFile(join(folder, bundleFiles.onnx)), limits, references: null });

  it('dies with a reason, and answers `died` from then on', async () => {
    await writeTinyBundle(folder);
    const thread = await start();
    expect((await thread.run([malformed])).type).toBe('died');
    expect(await thread.ended).toContain('kind');
    expect((await thread.run([{ kind: 'image', bytes: await imageOf('#e00000') }])).type).toBe('died');
  });

  it('fails that request only, and is replaced', async () => {
    await writeTinyBundle(folder);
    const deaths: string[] = [];
    const onDeath = (why: string): unknown => deaths.push(why);
    const pool = await ThreadPool.create({
      threads: 2,
      batchSize: 1,
      queueLimit: 100,
      latencyTargetMs: 0,
      start,
      onDeath,
    });
    const image: Job = { kind: 'image', bytes: await imageOf('#e00000') };
    const jobs = Array.from({ length: 30 }, (_, index) => (index === 10 ? malformed : image));
    const ends = await Promise.all(jobs.map((job) => pool.run([job]).then(() => 'answered', errorCodeOf)));
    expect(ends.filter((end) => end === 'answered')).toHaveLength(29);
    expect(ends[10]).toBe('internal');
    expect(deaths).toHaveLength(2);
    await pool.close();
  });
});

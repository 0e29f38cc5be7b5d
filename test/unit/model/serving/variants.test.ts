import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { bundleFiles, type Variant } from '../../../../contracts/registry/bundle.js';
import { errorCodeOf } from '../../../../contracts/errors.js';
import { chooseVariant } from '../../../../model/serving/choose-variant.js';
import { createEngine, type Engine, type EngineOptions } from '../../../../model/serving/engine.js';
import { probeImages, probePixels } from '../../../../model/serving/probe.js';
import { readBundle } from '../../../../model/serving/read-bundle.js';
import type { Thread } from '../../../../model/serving/thread.js';
import { manualThread } from '../../../support/manual-thread.js';
import { writeTinyBundle, type TinyBundleOptions } from '../../../support/tiny-bundle.js';
import { tinyGraph } from '../../../support/tiny-graph.js';

const limits = { maxPixels: 1_000_000, maxBytes: 5_000_000, minSide: 8 };
const engines: Engine[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'variants-'));
});

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  await rm(folder, { recursive: true, force: true });
});

const quantization = {
  rangeImages: 1,
  images: 1,
  fp32Accuracy: 1,
  int8Accuracy: 1,
  agreement: 1,
  meanAbsoluteDifference: 0,
  maxAbsoluteDifference: 0,
  sizeBytes: 1,
  passed: true,
  reasons: [],
};

type Files = NonNullable<TinyBundleOptions['files']>;

/** The files of an 8-bit network that always predicts dandelion. */
function int8Files(facts: Partial<typeof quantization> = {}, graph = tinyGraph(2, 100)): Files {
  return {
    [bundleFiles.onnxInt8]: graph,
    [bundleFiles.quantization]: JSON.stringify({ ...quantization, ...facts }),
  };
}

/** The files of three references in the space of mean colours: red, green and half of both. */
function referenceFiles(change: Record<string, unknown> = {}, vectors = [1, 0, 0, 0, 1, 0, 0.6, 0.8, 0]): Files {
  const images = ['dandelion', 'grass', 'dandelion'].map((label) => ({ sha256: label, label }));
  const unfamiliarAbove = { fp32: 0.3, int8: 2 };
  const references = { dimensions: 3, covering: 2, images, unfamiliarAbove, heldOutShare: 0.98, ...change };
  return {
    [bundleFiles.references]: JSON.stringify(references),
    [bundleFiles.referenceFeatures]: new Uint8Array(Float32Array.from(vectors).buffer),
  };
}

async function engineOf(files: Files, options: Partial<EngineOptions> = {}): Promise<Engine> {
  await writeTinyBundle(folder, { files });
  const engine = await createEngine({ bundleFolder: folder, threads: 1, queueLimit: 100, limits, ...options });
  engines.push(engine);
  return engine;
}

function imageOf(colour: string): Promise<Buffer> {
  return sharp({ create: { width: 50, height: 40, channels: 3, background: colour } })
    .png()
    .toBuffer();
}

describe('the precision variant that is served', () => {
  it('is int8 on request', async () => {
    const engine = await engineOf(int8Files(), { variant: 'int8' });
    expect(engine.variant).toBe('int8');
    expect((await engine.predictImage(await imageOf('#00e000'))).label).toBe('dandelion');
  });

  it('is fp32 on request', async () => {
    const engine = await engineOf(int8Files(), { variant: 'fp32' });
    expect(engine.variant).toBe('fp32');
    expect((await engine.predictImage(await imageOf('#00e000'))).label).toBe('grass');
  });

  it.each([
    ['is not there', {}],
    ['has failed its checks', int8Files({ passed: false })],
    ['cannot be loaded', int8Files({}, Buffer.from('no graph'))],
  ])('is fp32 when int8 %s, which is reported', async (_, files) => {
    const refused: string[] = [];
    const engine = await engineOf(files, { variant: 'int8', onVariantRefused: (message) => refused.push(message) });
    expect(engine.variant).toBe('fp32');
    expect(refused).toHaveLength(1);
    expect((await engine.predictImage(await imageOf('#00e000'))).label).toBe('grass');
  });

  it('is int8 only if int8 passes its own probe', async () => {
    const right = { ...int8Files(), ...(await probeFile([1, 0])) };
    expect((await engineOf(right, { variant: 'int8' })).variant).toBe('int8');
    const wrong = { ...int8Files(), ...(await probeFile([0, 1])) };
    expect((await engineOf(wrong, { variant: 'int8' })).variant).toBe('fp32');
  });

  it('is the faster one by default', async () => {
    expect(await chosen({ fp32: [8], int8: [4] })).toEqual({ variant: 'int8', spare: 'fp32' });
    expect(await chosen({ fp32: [4], int8: [8] })).toEqual({ variant: 'fp32', spare: 'int8' });
  });

  it('is fp32 when the thread of int8 dies while both are timed', async () => {
    expect(await chosen({ fp32: [8], int8: [4, NaN] })).toEqual({ variant: 'fp32', spare: 'int8' });
  });

  it('is the faster one also when something else slows most of its runs', async () => {
    expect(await chosen({ fp32: [8], int8: [50, 40, 4, 60] })).toMatchObject({ variant: 'int8' });
  });
});

/** Expected probe answers: those of the tiny graph for fp32, and the given ones for int8. */
async function probeFile(int8: number[]): Promise<Files> {
  const rows = await (await engineOf({})).predictPixels(probePixels(), probeImages);
  const probabilities = rows.map((row) => row.probabilities);
  return { [bundleFiles.probe]: JSON.stringify({ probabilities, int8: probabilities.map(() => int8) }) };
}

/**
 * Which of two variants is chosen if their runs take these times in milliseconds, over and over, and whose thread is
 * left for another use. A time of NaN kills the thread.
 */
async function chosen(runsMs: Record<Variant, number[]>): Promise<{ variant: Variant; spare: string | undefined }> {
  await writeTinyBundle(folder, { files: int8Files() });
  const bundle = await readBundle(folder);
  const variantOf = new Map<Thread | null, Variant>();
  const start = (graph: Uint8Array): Promise<Thread> => {
    const variant = graph === bundle.graphs.int8 ? 'int8' : 'fp32';
    const thread = manualThread();
    let runs = 0;
    const run: Thread['run'] = () => {
      const inferMs = runsMs[variant][runs++ % runsMs[variant].length] ?? NaN;
      if (Number.isNaN(inferMs)) return Promise.resolve({ type: 'died', message: 'crash' });
      return Promise.resolve({ type: 'done', outcome: { type: 'answer', rows: [], decodeMs: 0, inferMs } });
    };
    const started = { ...thread, run };
    variantOf.set(started, variant);
    return Promise.resolve(started);
  };
  const { variant, spare } = await chooseVariant({ bundle, folder, wanted: 'auto', start, onRefused: () => undefined });
  return { variant, spare: variantOf.get(spare) };
}

describe('the OOD score', () => {
  it('has the distance to the nearest reference, its class, and whether it is far', async () => {
    const engine = await engineOf(referenceFiles());
    const red = await engine.predictImage(await imageOf('#ff0000'));
    expect(red.oodScore).toMatchObject({ neighbour: 'dandelion', outOfDistribution: false });
    expect(red.oodScore?.distance).toBeCloseTo(0, 3);
    const blue = await engine.predictImage(await imageOf('#0000ff'));
    expect(blue.oodScore?.distance).toBeCloseTo(Math.SQRT2, 3);
    expect(blue.oodScore?.outOfDistribution).toBe(true);
  });

  it('compares square roots of features only if the bundle does', async () => {
    // Mean red 0.36 and green 0.64: a direction of 0.36 to 0.64 as they are, of 0.6 to 0.8 by their square roots.
    const image = await imageOf('rgb(92, 163, 0)');
    const earlier = await engineOf(referenceFiles({ covering: 3 }));
    expect((await earlier.predictImage(image)).oodScore?.distance).toBeGreaterThan(0.1);
    const rooted = await engineOf(referenceFiles({ covering: 3, transform: 'square_root' }));
    expect((await rooted.predictImage(image)).oodScore?.distance).toBeLessThan(0.01);
  });

  it('uses the threshold of the served variant, or of fp32 when that has none', async () => {
    const blue = await imageOf('#0000ff');
    const own = await engineOf({ ...int8Files(), ...referenceFiles() }, { variant: 'int8' });
    expect((await own.predictImage(blue)).oodScore?.outOfDistribution).toBe(false);
    const without = referenceFiles({ unfamiliarAbove: { fp32: 0.3, int8: null } });
    const other = await engineOf({ ...int8Files(), ...without }, { variant: 'int8' });
    expect((await other.predictImage(blue)).oodScore?.outOfDistribution).toBe(true);
  });

  it('is null without references', async () => {
    const engine = await engineOf({});
    expect((await engine.predictImage(await imageOf('#ff0000'))).oodScore).toBeNull();
    expect(engine.calibration).toBeNull();
  });

  it.each([
    ['too few vectors', referenceFiles({}, [1, 0, 0])],
    ['more covering rows than rows', referenceFiles({ covering: 4 })],
    ['a vector with NaN', referenceFiles({}, [1, 0, 0, 0, NaN, 0, 0, 0, 1])],
    ['an unknown transform', referenceFiles({ transform: 'cube_root' })],
    ['missing fields', { [bundleFiles.references]: '{}' }],
    ['no vectors at all', { [bundleFiles.references]: referenceFiles()[bundleFiles.references] ?? '' }],
    ['an invalid calibration', { [bundleFiles.calibration]: '[]' }],
    ['an invalid quantization report', { [bundleFiles.quantization]: 'no JSON' }],
  ])('keeps a bundle from being served that has %s', async (_, files) => {
    expect(await engineOf(files).catch(errorCodeOf)).toBe('bundle_invalid');
  });
});

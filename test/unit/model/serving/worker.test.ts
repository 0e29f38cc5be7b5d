import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { bundleFiles } from '../../../../contracts/registry/bundle.js';
import { errorCodeOf } from '../../../../contracts/errors.js';
import type { Job } from '../../../../model/serving/messages.js';
import { fastestSize, calibrateBatchSize } from '../../../../model/serving/calibrate-batch-size.js';
import { startThread, type Outcome, type Thread } from '../../../../model/serving/thread.js';
import { manualThread } from '../../../support/manual-thread.js';
import { writeTinyBundle } from '../../../support/tiny-bundle.js';

const limits = { maxPixels: 1_000_000, maxBytes: 5_000_000, minSide: 8 };
let folder: string;
let thread: Thread;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'worker-'));
  await writeTinyBundle(folder, { labels: ['a', 'b', 'c'] });
  const model = await readFile(join(folder, bundleFiles.onnx));
  thread = await startThread({ model, limits, references: null });
});

afterEach(async () => {
  await thread.close();
  await rm(folder, { recursive: true, force: true });
});

async function imageOf(colour: string): Promise<Job> {
  const image = sharp({ create: { width: 30, height: 30, channels: 3, background: colour } });
  return { kind: 'image', bytes: await image.png().toBuffer() };
}

/** Of each job, its probabilities or the code it was refused with. */
function endsOf(outcome: Outcome): unknown[] {
  if (outcome.type === 'died') return [outcome.message];
  return outcome.outcomes.map((one) => (one.type === 'refused' ? one.code : one.rows[0]?.probabilities));
}

describe('a thread', () => {
  it('answers a batch as it answers single images, a broken one among them', async () => {
    const jobs = await Promise.all(['#ff0000', '#00ff00', '#0000ff', '#808000'].map(imageOf));
    jobs.splice(2, 0, { kind: 'image', bytes: Buffer.from('not an image') });
    const single: unknown[] = [];
    for (const job of jobs) single.push(...endsOf(await thread.run([job])));
    expect(new Set(single.map(String)).size).toBe(5);
    expect(single[2]).toBe('unsupported_type');
    expect(endsOf(await thread.run(jobs))).toEqual(single);
    expect(endsOf(await thread.run(jobs.slice(2, 3).concat(jobs.slice(2, 3))))).toEqual([single[2], single[2]]);
  });

  it('answers in order what it gets while it works, broken and slow jobs as well', async () => {
    const huge = await sharp({ create: { width: 1_000, height: 1_000, channels: 3, background: '#00ff00' } })
      .png()
      .toBuffer();
    const jobs: Job[] = [
      { kind: 'image', bytes: huge },
      await imageOf('#ff0000'),
      { kind: 'image', bytes: Buffer.from('not an image') },
      { kind: 'pixels', bytes: new Uint8Array(2 * 224 * 224 * 3), count: 2, batchSize: 1 },
      await imageOf('#0000ff'),
    ];
    const single: unknown[] = [];
    for (const job of jobs) single.push(endsOf(await thread.run([job])));
    const order: number[] = [];
    const ends = jobs.map((job, at) =>
      thread.run([job]).then((outcome) => {
        order.push(at);
        return endsOf(outcome);
      }),
    );
    expect(await Promise.all(ends)).toEqual(single);
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  it('answers later jobs correctly after one that could not be posted', async () => {
    const jobs = [await imageOf('#ff0000'), await imageOf('#0000ff')];
    const single: unknown[] = [];
    for (const job of jobs) single.push(endsOf(await thread.run([job])));
    const gone = new Uint8Array(8);
    structuredClone(gone, { transfer: [gone.buffer] });
    await expect(thread.run([{ kind: 'image', bytes: gone }])).rejects.toThrow();
    const ends = jobs.map((job) => thread.run([job]).then(endsOf));
    expect(await Promise.all(ends)).toEqual(single);
  });

  it('is calibrated to one of the tried batch sizes', async () => {
    expect([1, 2, 4]).toContain(await calibrateBatchSize(thread));
  });
});

describe('the calibration of the batch size', () => {
  it('leaves no thread behind when the graph does not run', async () => {
    const broken = manualThread();
    const calibration = calibrateBatchSize(broken).catch(errorCodeOf);
    await broken.finish({ type: 'done', outcomes: [{ type: 'refused', code: 'internal', message: 'broken' }] });
    expect(await calibration).toBe('bundle_invalid');
    expect(await Promise.race([broken.ended, Promise.resolve('left')])).toBe('closed');
  });

  it('chooses the smallest size that no larger one beats by a tenth', () => {
    const sizeFor = (...times: [number, number][]): number => fastestSize(new Map(times));
    expect(sizeFor([1, 9.2], [2, 9.5], [4, 9.3])).toBe(1);
    expect(sizeFor([1, 10], [2, 9.5], [4, 9.2])).toBe(1);
    expect(sizeFor([1, 10], [2, 8], [4, 7.5])).toBe(2);
    expect(sizeFor([1, 10], [2, 9.5], [4, 6])).toBe(4);
  });
});

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { bundleFiles } from '../../../../contracts/registry/bundle.js';
import type { Job } from '../../../../model/serving/messages.js';
import { startThread, type Outcome, type Thread } from '../../../../model/serving/thread.js';
import { writeTinyBundle } from '../../../support/tiny-bundle.js';

const limits = { maxPixels: 1_000_000, maxBytes: 5_000_000, minSide: 8 };
let folder: string;
let thread: Thread;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'worker-'));
  await writeTinyBundle(folder, { labels: ['a', 'b', 'c'] });
  const model = await readFile(join(folder, bundleFiles.onnx));
  thread = await startThread({ model, limits, references: null, loneCores: 2 });
});

afterEach(async () => {
  await thread.close();
  await rm(folder, { recursive: true, force: true });
});

async function imageOf(colour: string): Promise<Job> {
  const image = sharp({ create: { width: 30, height: 30, channels: 3, background: colour } });
  return { kind: 'image', bytes: await image.png().toBuffer() };
}

/** The probabilities of an image, or the code it was refused with. */
function endOf(reply: Outcome): unknown {
  if (reply.type === 'died') return reply.message;
  return reply.outcome.type === 'refused' ? reply.outcome.code : reply.outcome.rows[0]?.probabilities;
}

describe('a thread that loads another model', () => {
  const folderOf = (name: string): string => join(folder, name);
  async function modelOf(name: string, bundle: Parameters<typeof writeTinyBundle>[1]): Promise<Uint8Array> {
    await writeTinyBundle(folderOf(name), bundle);
    return readFile(join(folderOf(name), bundleFiles.onnx));
  }

  it('answers with it as a new thread does, after the jobs it has', async () => {
    const setup = { model: await modelOf('other', { labels: ['a', 'b'], bias: 3 }), limits, references: null };
    const fresh = await startThread({ ...setup, loneCores: 1 });
    const job = await imageOf('#ff0000');
    const [before, reloaded] = await Promise.all([thread.run(job), thread.reload({ ...setup, loneCores: 2 })]);
    expect(endOf(before)).toHaveLength(3);
    expect(reloaded.cores).toBe(2);
    const expected = endOf(await fresh.run(job));
    expect(expected).toHaveLength(2);
    for (const isAlone of [true, false]) expect(endOf(await reloaded.run(job, isAlone))).toEqual(expected);
    await fresh.close();
  });

  it('ends when the model cannot be loaded', async () => {
    const damaged = { model: new Uint8Array(100), limits, references: null, loneCores: 1 };
    await expect(thread.reload(damaged)).rejects.toMatchObject({ code: 'bundle_invalid' });
    await thread.ended;
  });
});

describe('a thread', () => {
  it('answers an image that is alone, on two cores, as any other', async () => {
    for (const colour of ['#ff0000', '#00ff00', '#808000']) {
      const job = await imageOf(colour);
      const [alone, other] = [endOf(await thread.run(job, true)), endOf(await thread.run(job))];
      expect(alone).toHaveLength(3);
      expect(alone).toEqual(other);
    }
    expect(endOf(await thread.run({ kind: 'image', bytes: Buffer.from('not an image') }, true))).toBe(
      'unsupported_type',
    );
  });

  it('answers in order what it gets while it works, broken and slow jobs as well', async () => {
    const huge = await sharp({ create: { width: 1_000, height: 1_000, channels: 3, background: '#00ff00' } })
      .png()
      .toBuffer();
    const jobs: Job[] = [
      { kind: 'image', bytes: huge },
      await imageOf('#ff0000'),
      { kind: 'image', bytes: Buffer.from('not an image') },
      { kind: 'pixels', bytes: new Uint8Array(2 * 224 * 224 * 3), count: 2 },
      await imageOf('#0000ff'),
    ];
    const single: unknown[] = [];
    for (const job of jobs) single.push(endOf(await thread.run(job)));
    const order: number[] = [];
    const ends = jobs.map((job, at) =>
      thread.run(job).then((reply) => {
        order.push(at);
        return endOf(reply);
      }),
    );
    expect(await Promise.all(ends)).toEqual(single);
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  it('answers later jobs correctly after one that could not be posted', async () => {
    const jobs = [await imageOf('#ff0000'), await imageOf('#0000ff')];
    const single: unknown[] = [];
    for (const job of jobs) single.push(endOf(await thread.run(job)));
    const gone = new Uint8Array(8);
    structuredClone(gone, { transfer: [gone.buffer] });
    await expect(thread.run({ kind: 'image', bytes: gone })).rejects.toThrow();
    const ends = jobs.map((job) => thread.run(job).then(endOf));
    expect(await Promise.all(ends)).toEqual(single);
  });
});

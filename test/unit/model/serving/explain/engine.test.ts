import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCodeOf } from '../../../../../contracts/errors.js';
import { createCnnWeights } from '../../../../../model/architectures/starting-weights.js';
import { assembleNetwork } from '../../../../../model/architectures/trained-network.js';
import { encodeOnnx } from '../../../../../model/export/onnx-graph.js';
import { drawSyntheticImage } from '../../../../../model/images/synthetic.js';
import { createEngine, type Engine } from '../../../../../model/serving/engine.js';
import { memoryHeld } from '../../../../support/collect-garbage.js';
import { writeTinyBundle } from '../../../../support/tiny-bundle.js';

const limits = { maxPixels: 1_000_000, maxBytes: 5_000_000, minSide: 8 };
const wanted = { overlay: true, neighbours: 0 };
let folder: string;
let engine: Engine;
let image: Buffer;

async function engineOf(graph?: Uint8Array): Promise<Engine> {
  await writeTinyBundle(folder, graph && { graph });
  return createEngine({ bundleFolder: folder, threads: 1, queueLimit: 100, limits });
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'explaining-'));
  image = await drawSyntheticImage('dandelion', 1);
});

afterEach(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

describe('an engine that explains', () => {
  it('answers predictions between the steps of an explanation', async () => {
    engine = await engineOf();
    const order: string[] = [];
    const explanation = engine.explainImage(image, wanted).then(() => order.push('explained'));
    // Requested later, and one after the other: each gets the thread before the explanation continues.
    for (let index = 0; index < 3; index += 1) {
      await engine.predictImage(image);
      order.push('predicted');
    }
    await explanation;
    expect(order).toEqual(['predicted', 'predicted', 'predicted', 'explained']);
  });

  it('rejects explanations whose deadline has passed', async () => {
    engine = await engineOf();
    const late = engine.explainImage(image, wanted, { deadlineAt: performance.now() - 1 });
    await expect(late.catch(errorCodeOf)).resolves.toBe('deadline_exceeded');
  });

  it('refuses an unknown class before it decodes the image', async () => {
    engine = await engineOf();
    const unknown = engine.explainImage(Buffer.from('not an image'), { ...wanted, label: 'toString' });
    await expect(unknown.catch(errorCodeOf)).resolves.toBe('bad_request');
  });

  it('takes no more memory after five hundred explanations than after the first hundred', async () => {
    const { operations, weights } = await assembleNetwork('cnn', createCnnWeights([4, 4, 4], 2, 1));
    engine = await engineOf(encodeOnnx(operations, weights));
    const explainTimes = async (times: number): Promise<void> => {
      for (let index = 0; index < times; index += 1) {
        const { method, overlay } = await engine.explainImage(image, wanted);
        expect(method).toBe('class_activation');
        expect(overlay).not.toBeNull();
      }
    };
    await explainTimes(100);
    const before = memoryHeld().rss;
    await explainTimes(400);
    // A leaked image takes 150 kB, its overlay as much again: 400 of them would exceed this.
    expect(memoryHeld().rss - before).toBeLessThan(50_000_000);
  });
});

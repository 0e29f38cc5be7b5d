import { inputSize } from '../../../../../contracts/training/training.js';
import { pixelBytes } from '../../../../../model/images/decode.js';
import { createRandom } from '../../../../../model/seeded-random.js';
import { logitOf } from '../../../../../model/serving/explain/class-activation.js';
import { explainInThread } from '../../../../../model/serving/explain-job.js';
import { occludedBatches, occlusionMap, patchesPerSide } from '../../../../../model/serving/explain/occlusion.js';
import { fittedBackbone, openGraph, probabilitiesOf, type OpenGraph } from '../../../../support/explanation-fixture.js';
import { drawPlacedFlower, type PlacedFlower } from '../../../../support/placed-flowers.js';

const withFlower = 1;
const learnt = 24;
const tried = 8;
const places = patchesPerSide ** 2;
let graph: OpenGraph;
let examples: (PlacedFlower & { pixels: Uint8Array; map: number[][] })[];

beforeAll(async () => {
  const drawn = await Promise.all(
    [false, true].map((hasFlower) =>
      Promise.all(Array.from({ length: learnt }, (_, index) => drawPlacedFlower(index, hasFlower))),
    ),
  );
  graph = await openGraph(await fittedBackbone(drawn.map((each) => each.map(({ image }) => image))));
  examples = [];
  for (let index = learnt; index < learnt + tried; index += 1) {
    const example = await drawPlacedFlower(index, true);
    const job = {
      kind: 'explain' as const,
      bytes: example.image,
      classIndex: withFlower,
      overlay: false,
      neighbours: 0,
    };
    const { explained, probabilities } = await explainInThread(job, graph);
    expect(probabilities[withFlower]).toBeGreaterThan(0.5);
    examples.push({ ...example, pixels: await graph.decode(example.image), map: explained.map ?? [] });
  }
});

afterAll(() => graph.release());

/** Regions of a map, heaviest first. */
function ranked(map: readonly (readonly number[])[]): number[] {
  const values = map.flat();
  return values.map((_, place) => place).sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0));
}

/** Whether the centre of a map's heaviest region lies within half a region of the flower. */
function pointsAtFlower(map: readonly (readonly number[])[], flower: PlacedFlower['flower']): boolean {
  const [heaviest = 0] = ranked(map);
  const width = inputSize / map.length;
  const x = (heaviest % map.length) * width + width / 2;
  const y = Math.floor(heaviest / map.length) * width + width / 2;
  return flower !== null && Math.hypot(x - flower.x, y - flower.y) < flower.radius + width / 2;
}

async function measuredMap(pixels: Uint8Array): Promise<number[][]> {
  const [whole = []] = await probabilitiesOf(graph, pixels, 1);
  const occluded: number[][] = [];
  for (const batch of occludedBatches(pixels)) {
    occluded.push(...(await probabilitiesOf(graph, batch.pixels, batch.count)));
  }
  return occlusionMap(whole, occluded, withFlower);
}

/** The image with grey over the patches for which `hides` is true. */
function greyed(pixels: Uint8Array, hides: (place: number) => boolean): Uint8Array {
  const width = inputSize / patchesPerSide;
  return pixels.map((value, index) => {
    const pixel = Math.floor(index / 3);
    const row = Math.floor(Math.floor(pixel / inputSize) / width);
    return hides(row * patchesPerSide + Math.floor((pixel % inputSize) / width)) ? 128 : value;
  });
}

/** Mean logit while patches are deleted, or inserted, in an order. */
async function meanLogit(
  pixels: Uint8Array,
  order: readonly number[],
  kind: 'deletion' | 'insertion',
): Promise<number> {
  const steps = [2, 5, 9, 14, 20, 30];
  const copies = steps.map((count) => {
    const first = new Set(order.slice(0, count));
    return greyed(pixels, (place) => first.has(place) === (kind === 'deletion'));
  });
  const together = new Uint8Array(copies.length * pixelBytes);
  copies.forEach((copy, index) => together.set(copy, index * pixelBytes));
  const rows = await probabilitiesOf(graph, together, copies.length);
  return rows.reduce((sum, row) => sum + logitOf(row, withFlower), 0) / rows.length;
}

function shuffledPlaces(seed: number): number[] {
  const random = createRandom(seed);
  const keyed = Array.from({ length: places }, (_, place) => ({ place, key: random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ place }) => place);
}

describe('on synthetic images with a flower at a known position', () => {
  it('the class activation map is heaviest on the flower', () => {
    const hits = examples.filter(({ map, flower }) => pointsAtFlower(map, flower));
    expect(hits.length).toBeGreaterThanOrEqual(0.75 * tried);
  });

  it('occlusion finds the flower as well', async () => {
    let hits = 0;
    for (const { pixels, flower } of examples.slice(0, 4))
      hits += Number(pointsAtFlower(await measuredMap(pixels), flower));
    expect(hits).toBeGreaterThanOrEqual(3);
  });

  it('deleting the heaviest regions first costs more than a random order, and inserting them first gains more', async () => {
    const gains = { deletion: 0, insertion: 0 };
    for (const [index, { pixels, map }] of examples.entries()) {
      const chance = shuffledPlaces(index + 1);
      const order = ranked(map);
      gains.deletion += (await meanLogit(pixels, chance, 'deletion')) - (await meanLogit(pixels, order, 'deletion'));
      gains.insertion += (await meanLogit(pixels, order, 'insertion')) - (await meanLogit(pixels, chance, 'insertion'));
    }
    // In logits per image; for a random map both would be about 0.
    expect(gains.deletion / tried).toBeGreaterThan(0.5);
    expect(gains.insertion / tried).toBeGreaterThan(0.5);
  });
});

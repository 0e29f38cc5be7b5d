import { inputSize } from '../../../../../contracts/training.js';
import { pixelBytes } from '../../../../../model/images/decode.js';
import { occludedBatches, occlusionMap, patchesPerSide } from '../../../../../model/serving/explain/occlusion.js';
import { openGraph, probabilitiesOf } from '../../../../support/explaining.js';
import { tinyGraph } from '../../../../support/tiny-graph.js';

const patch = inputSize / patchesPerSide;

/** Black, but for one red place. */
function redPlace(row: number, column: number): Uint8Array {
  const pixels = new Uint8Array(pixelBytes);
  for (let y = row * patch; y < (row + 1) * patch; y += 1) {
    for (let x = column * patch; x < (column + 1) * patch; x += 1) pixels[3 * (y * inputSize + x)] = 255;
  }
  return pixels;
}

describe('occlusion', () => {
  it('hides each place once, in batches of at most four, and leaves the picture alone', () => {
    const picture = new Uint8Array(pixelBytes).fill(7);
    const batches = [...occludedBatches(picture)];
    expect(batches.every(({ count, pixels }) => count <= 4 && pixels.length === count * pixelBytes)).toBe(true);
    const hidden = new Uint8Array(pixelBytes / 3);
    for (const { pixels, count } of batches) {
      for (let place = 0; place < (count * pixelBytes) / 3; place += 1) {
        if (pixels[3 * place] !== 7) hidden[place % hidden.length] = (hidden[place % hidden.length] ?? 0) + 1;
      }
    }
    expect(hidden.every((times) => times === 1)).toBe(true);
    expect(picture.every((value) => value === 7)).toBe(true);
  });

  it('finds the one place that the tiny model sees its class in', async () => {
    const graph = await openGraph(tinyGraph(2, 0));
    const picture = redPlace(2, 5);
    const [whole = []] = await probabilitiesOf(graph, picture, 1);
    const occluded: number[][] = [];
    for (const { pixels, count } of occludedBatches(picture)) {
      occluded.push(...(await probabilitiesOf(graph, pixels, count)));
    }
    const map = occlusionMap(whole, occluded, 0);
    const red = map[2]?.[5] ?? NaN;
    expect(map.flat().filter((value) => value >= red)).toHaveLength(1);
    expect(red).toBeGreaterThan(0);
    // Grey on black takes as much from red as from green, wherever it is.
    expect(Math.max(...map.flat().filter((value) => value !== red))).toBeLessThan(0.1 * red);
    // What one class loses, the other of two gains.
    occlusionMap(whole, occluded, 1)
      .flat()
      .forEach((value, place) => expect(value).toBeCloseTo(-(map.flat()[place] ?? NaN), 6));
    await graph.release();
  });
});

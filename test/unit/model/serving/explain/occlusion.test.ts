import { inputSize } from '../../../../../contracts/training/training.js';
import { pixelBytes } from '../../../../../model/images/decode.js';
import {
  marginPixels,
  occludedBatches,
  occlusionMap,
  patchesPerSide,
} from '../../../../../model/serving/explain/occlusion.js';
import { openGraph, probabilitiesOf } from '../../../../support/explanation-fixture.js';
import { tinyGraph } from '../../../../support/tiny-graph.js';

const placePixels = inputSize / patchesPerSide;

/** Black, but for one red patch. */
function redPatch(row: number, column: number): Uint8Array {
  const pixels = new Uint8Array(pixelBytes);
  for (let y = row * placePixels; y < (row + 1) * placePixels; y += 1) {
    for (let x = column * placePixels; x < (column + 1) * placePixels; x += 1) pixels[3 * (y * inputSize + x)] = 255;
  }
  return pixels;
}

describe('occlusion', () => {
  it('masks each patch with its margin, in batches of at most four, and does not change the image', () => {
    const image = new Uint8Array(pixelBytes).fill(7);
    const batches = [...occludedBatches(image)];
    expect(batches.every(({ count, pixels }) => count <= 4 && pixels.length === count * pixelBytes)).toBe(true);
    const copies = batches.flatMap(({ pixels, count }) =>
      Array.from({ length: count }, (_, copy) => pixels.subarray(copy * pixelBytes, (copy + 1) * pixelBytes)),
    );
    expect(copies).toHaveLength(patchesPerSide ** 2);
    copies.forEach((copy, place) => {
      const isNear = (at: number, index: number): boolean =>
        at >= index * placePixels - marginPixels && at < (index + 1) * placePixels + marginPixels;
      const isRight = copy.every((value, index) => {
        const pixel = Math.floor(index / 3);
        const isHidden =
          isNear(Math.floor(pixel / inputSize), Math.floor(place / patchesPerSide)) &&
          isNear(pixel % inputSize, place % patchesPerSide);
        return value === (isHidden ? 128 : 7);
      });
      expect(isRight).toBe(true);
    });
    expect(image.every((value) => value === 7)).toBe(true);
  });

  it('finds the one patch that decides the class of the tiny model', async () => {
    const graph = await openGraph(tinyGraph(2, 0));
    const image = redPatch(2, 5);
    const [whole = []] = await probabilitiesOf(graph, image, 1);
    const occluded: number[][] = [];
    for (const { pixels, count } of occludedBatches(image)) {
      occluded.push(...(await probabilitiesOf(graph, pixels, count)));
    }
    const map = occlusionMap(whole, occluded, 0);
    const red = map[2]?.[5] ?? NaN;
    expect(map.flat().filter((value) => value >= red)).toHaveLength(1);
    expect(red).toBeGreaterThan(0);
    // Grey on black takes as much from red as from green, wherever it is.
    map.forEach((row, y) =>
      row.forEach((value, x) => {
        if (Math.max(Math.abs(y - 2), Math.abs(x - 5)) > 1) expect(value).toBeLessThan(0.2 * red);
      }),
    );
    // What one class loses, the other of two gains.
    occlusionMap(whole, occluded, 1)
      .flat()
      .forEach((value, place) => expect(value).toBeCloseTo(-(map.flat()[place] ?? NaN), 6));
    await graph.release();
  });
});

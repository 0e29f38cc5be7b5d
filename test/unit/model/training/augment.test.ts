import { inputSize } from '../../../../contracts/training/training.js';
import { augment } from '../../../../model/training/augment.js';

const gradient = Uint8Array.from({ length: inputSize * inputSize * 3 }, (_, index) => {
  const position = Math.floor(index / 3);
  return [position % inputSize, Math.floor(position / inputSize), 100][index % 3] ?? 0;
});

function mean(pixels: Uint8Array, channel: number): number {
  const values = pixels.filter((_, index) => index % 3 === channel);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe('augmentation', () => {
  it('gives the same view for the same seed and others for others', () => {
    expect(augment(gradient, 5)).toEqual(augment(gradient, 5));
    const views = [1, 2, 3, 4].map((seed) => augment(gradient, seed).join());
    expect(new Set(views).size).toBe(4);
  });

  it('changes light and place only slightly', () => {
    for (let seed = 0; seed < 6; seed++) {
      const view = augment(gradient, seed);
      [0, 1, 2].forEach((channel) => expect(Math.abs(mean(view, channel) - mean(gradient, channel))).toBeLessThan(70));
    }
  });

  it('mirrors about half of the views', () => {
    const isMirrored = (view: Uint8Array): boolean => (view[0] ?? 0) > (view[(inputSize - 1) * 3] ?? 0);
    const mirrored = Array.from({ length: 40 }, (_, seed) => augment(gradient, seed)).filter(isMirrored).length;
    expect(mirrored).toBeGreaterThan(10);
    expect(mirrored).toBeLessThan(30);
  });

  it('leaves an even grey even', () => {
    const grey = new Uint8Array(gradient.length).fill(128);
    expect(new Set(augment(grey, 3)).size).toBe(1);
  });
});

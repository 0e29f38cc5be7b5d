import type { Example } from '../../../../contracts/datasets/datasets.js';
import { chooseQuantizationSample } from '../../../../model/export/quantization-sample.js';
import { sha256Of } from '../../../support/training-fixtures.js';

function examplesOf(counts: Readonly<Record<string, number>>, side: Example['side']): Example[] {
  return Object.entries(counts).flatMap(([label, count]) =>
    Array.from({ length: count }, (_, index) => ({ sha256: sha256Of(`${label} ${side} ${index}`), label, side })),
  );
}

const examples = [
  ...examplesOf({ a: 500, b: 40, c: 3 }, 'train'),
  ...examplesOf({ a: 300, b: 20, c: 1 }, 'validation'),
  ...examplesOf({ a: 50, b: 50, c: 50 }, 'test'),
];

describe('the images that quantization uses', () => {
  const sample = chooseQuantizationSample(examples);
  const labelsOf = (sha256s: readonly string[]): (string | undefined)[] =>
    sha256s.map((sha256) => examples.find((example) => example.sha256 === sha256)?.label);
  const count = (sha256s: readonly string[], label: string): number =>
    labelsOf(sha256s).filter((found) => found === label).length;

  it('are of every class, with all images of rare ones', () => {
    expect(['a', 'b', 'c'].map((label) => count(sample.ranges, label))).toEqual([15, 14, 3]);
    expect(['a', 'b', 'c'].map((label) => count(sample.judged, label))).toEqual([179, 20, 1]);
  });

  it('are training images for ranges and held-out ones for the checks, never of the test split', () => {
    const sideOf = new Map(examples.map(({ sha256, side }) => [sha256, side]));
    expect(new Set(sample.ranges.map((sha256) => sideOf.get(sha256)))).toEqual(new Set(['train']));
    expect(new Set(sample.judged.map((sha256) => sideOf.get(sha256)))).toEqual(new Set(['validation']));
  });

  it('do not depend on the order of the examples', () => {
    expect(chooseQuantizationSample([...examples].reverse())).toEqual(sample);
  });

  it('are all images where there are few', () => {
    expect(chooseQuantizationSample(examplesOf({ a: 2, b: 1 }, 'train'))).toMatchObject({ judged: [] });
  });
});

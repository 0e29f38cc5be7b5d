import fc from 'fast-check';
import { compareOnSameImages, exactMcnemar } from '../../../../model/evaluation/compare.js';

const right = [0.1, 0.9];
const wrong = [0.8, 0.2];

function answers(pattern: string): number[][] {
  return Array.from(pattern, (mark) => (mark === '+' ? right : wrong));
}

function compare(candidate: string, production: string): ReturnType<typeof compareOnSameImages> {
  const truths = Array.from(candidate, () => 1);
  return compareOnSameImages({ candidate: answers(candidate), production: answers(production), truths, seed: 5 });
}

describe('exactMcnemar', () => {
  it('gives the known p-values', () => {
    // By SciPy's binomtest(fewer, discordant, 0.5).
    expect(exactMcnemar(8, 2)).toBeCloseTo(0.109375, 12);
    expect(exactMcnemar(0, 5)).toBeCloseTo(0.0625, 12);
    expect(exactMcnemar(700, 600)).toBeCloseTo(0.0060157938610449395, 10);
    expect(exactMcnemar(3, 3)).toBe(1);
    expect(exactMcnemar(0, 0)).toBe(1);
  });

  it('is a probability, and symmetric', () => {
    fc.assert(
      fc.property(fc.nat(2000), fc.nat(2000), (a, b) => {
        const p = exactMcnemar(a, b);
        expect(p >= 0 && p <= 1).toBe(true);
        expect(exactMcnemar(b, a)).toBe(p);
      }),
    );
  });
});

describe('compareOnSameImages', () => {
  it('counts what only one of the two gets right', () => {
    const comparison = compare('++++++++--', '++++----++');
    expect(comparison).toMatchObject({
      images: 10,
      candidateAccuracy: 0.8,
      productionAccuracy: 0.6,
      difference: 0.2,
      onlyCandidateRight: 4,
      onlyProductionRight: 2,
    });
    expect(comparison.mcnemarPValue).toBeCloseTo(0.6875, 12);
    expect(comparison.interval[0]).toBeLessThan(0.2);
    expect(comparison.interval[1]).toBeGreaterThan(0.2);
  });

  it('finds no difference at all between a model and itself', () => {
    expect(compare('++-+', '++-+')).toMatchObject({ difference: 0, interval: [0, 0], mcnemarPValue: 1 });
  });

  it('finds a paired difference that the accuracies alone would hide', () => {
    const images = 200;
    const candidate = '+'.repeat(180) + '-'.repeat(images - 180);
    const production = '+'.repeat(170) + '-'.repeat(images - 170);
    const comparison = compare(candidate, production);
    expect(comparison.interval[0]).toBeGreaterThan(0.01);
    expect(comparison.mcnemarPValue).toBeLessThan(0.01);
  });

  it('refuses lists of different lengths and empty ones', () => {
    expect(() => compareOnSameImages({ candidate: [right], production: [], truths: [1], seed: 1 })).toThrow(
      /same images/,
    );
    expect(() => compareOnSameImages({ candidate: [], production: [], truths: [], seed: 1 })).toThrow(/same images/);
  });
});

import fc from 'fast-check';
import { evaluate } from '../../../../model/evaluation/evaluate.js';
import { measureReliability } from '../../../../model/evaluation/reliability.js';
import { drawRiskCurve } from '../../../../model/evaluation/risk-curve.js';

/** Answers of two classes: the confidence of each, and whether it is right. */
function answers(...given: [number, boolean][]): { probabilities: number[][]; truths: number[] } {
  return {
    probabilities: given.map(([confidence]) => [confidence, 1 - confidence]),
    truths: given.map(([, isRight]) => (isRight ? 0 : 1)),
  };
}

const some = fc.array(fc.tuple(fc.double({ min: 0.501, max: 1, noNaN: true }), fc.boolean()), {
  minLength: 1,
  maxLength: 60,
});

describe('reliability', () => {
  it('puts answers into bins by confidence, and counts how many are right', () => {
    const { probabilities, truths } = answers([0.95, true], [0.97, true], [0.99, false], [0.62, true]);
    const { images, bins, calibrationError } = measureReliability(probabilities, truths);
    expect([images, bins.length]).toEqual([4, 15]);
    expect(bins[14]).toMatchObject({ from: 14 / 15, to: 1, images: 3, accuracy: 2 / 3 });
    expect(bins[14]?.meanConfidence).toBeCloseTo(0.97, 12);
    expect(bins[9]).toMatchObject({ images: 1, accuracy: 1 });
    expect(bins[0]).toMatchObject({ images: 0, accuracy: null, meanConfidence: null });
    expect(calibrationError).toBeCloseTo((3 * (0.97 - 2 / 3) + 0.38) / 4, 12);
  });

  it('has the calibration error of the evaluation, which its bins add up to', () => {
    fc.assert(
      fc.property(some, (given) => {
        const { probabilities, truths } = answers(...given);
        const { calibrationError, bins } = measureReliability(probabilities, truths);
        const gaps = bins.map((bin) => bin.images * Math.abs((bin.accuracy ?? 0) - (bin.meanConfidence ?? 0)));
        expect(gaps.reduce((sum, gap) => sum + gap, 0) / given.length).toBeCloseTo(calibrationError, 9);
        const { calibrationError: evaluated } = evaluate({ probabilities, truths, labels: ['a', 'b'], seed: 1 });
        expect(calibrationError).toBe(evaluated);
      }),
      { numRuns: 10 },
    );
  });
});

describe('the risk curve', () => {
  it('counts accepted and wrong answers at each confidence', () => {
    const { probabilities, truths } = answers([0.9, true], [0.6, false], [0.9, false], [0.7, true], [0.99, true]);
    expect(drawRiskCurve(probabilities, truths)).toEqual([
      { threshold: 0.6, accepted: 5, wrong: 2 },
      { threshold: 0.7, accepted: 4, wrong: 1 },
      { threshold: 0.9, accepted: 3, wrong: 1 },
      { threshold: 0.99, accepted: 1, wrong: 0 },
    ]);
  });

  it('agrees with a filter at each of its points, also when most points are left out', () => {
    const many = Array.from({ length: 3000 }, (_, index): [number, boolean] => [
      0.5001 + (index * 0.4999) / 3000,
      index % 7 !== 0,
    ]);
    const { probabilities, truths } = answers(...many);
    const curve = drawRiskCurve(probabilities, truths);
    expect(curve).toHaveLength(512);
    expect(curve[0]).toMatchObject({ accepted: 3000 });
    for (const { threshold, accepted, wrong } of curve) {
      const sure = many.filter(([confidence]) => confidence >= threshold);
      expect([accepted, wrong]).toEqual([sure.length, sure.filter(([, isRight]) => !isRight).length]);
    }
  });
});

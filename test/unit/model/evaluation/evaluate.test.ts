import fc from 'fast-check';
import { errorCodeOf } from '../../../../contracts/errors.js';
import type { Evaluation } from '../../../../contracts/training/training.js';
import { evaluate } from '../../../../model/evaluation/evaluate.js';

/** Expected figures were computed with scikit-learn 1.9 (zero_division=0) and, for the calibration error, NumPy. */
const binary = {
  labels: ['grass', 'dandelion'],
  probabilities: [0.9, 0.8, 0.35, 0.4, 0.7, 0.2, 0.6, 0.6, 0.1, 0.55].map((chance) => [1 - chance, chance]),
  truths: [1, 1, 1, 0, 0, 0, 1, 0, 0, 1],
  seed: 1,
};

const ternary = {
  labels: ['a', 'b', 'c'],
  probabilities: [
    [0.7, 0.2, 0.1],
    [0.1, 0.6, 0.3],
    [0.2, 0.2, 0.6],
    [0.4, 0.5, 0.1],
    [0.3, 0.3, 0.4],
    [0.05, 0.9, 0.05],
    [0.25, 0.25, 0.5],
    [0.6, 0.1, 0.3],
    [0.5, 0.3, 0.2],
    [0.1, 0.2, 0.7],
    [0.2, 0.7, 0.1],
    [0.34, 0.33, 0.33],
  ],
  truths: [0, 1, 2, 0, 1, 1, 2, 2, 0, 2, 0, 1],
  seed: 1,
};

function figuresOf({ accuracy, precision, recall, f1, loss, rocAuc, calibrationError }: Evaluation): number[] {
  return [accuracy, precision, recall, f1, loss, rocAuc, calibrationError];
}

function expectFigures(evaluation: Evaluation, expected: readonly number[]): void {
  figuresOf(evaluation).forEach((figure, index) => expect(figure).toBeCloseTo(expected[index] ?? NaN, 12));
}

describe('evaluate', () => {
  it('gives the known figures of two classes', () => {
    const evaluation = evaluate(binary);
    expectFigures(evaluation, [0.7, 0.7083333333333334, 0.7, 0.696969696969697, 0.5446582042930442, 0.74, 0.26]);
    expect(evaluation.confusionMatrix).toEqual([
      [3, 2],
      [1, 4],
    ]);
    expect(evaluation.perClass[1]).toMatchObject({ label: 'dandelion', recall: 0.8, support: 5 });
    expect(evaluation.perClass[1]?.precision).toBeCloseTo(2 / 3, 12);
    expect(evaluation.perClass[1]?.f1).toBeCloseTo(8 / 11, 12);
  });

  it('gives the known figures of three classes', () => {
    const share = 7 / 12;
    const evaluation = evaluate(ternary);
    expectFigures(evaluation, [
      share,
      share,
      share,
      share,
      0.7724160741390751,
      0.8489583333333334,
      0.13666666666666663,
    ]);
    expect(evaluation.confusionMatrix).toEqual([
      [2, 2, 0],
      [1, 2, 1],
      [1, 0, 3],
    ]);
  });

  it('counts a class that is predicted but absent as scikit-learn does', () => {
    const evaluation = evaluate({ ...ternary, truths: [0, 1, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1] });
    const rocAuc = (0.9 + 0.5571428571428572) / 2;
    expectFigures(evaluation, [
      0.4166666666666667,
      0.4166666666666667,
      0.29523809523809524,
      0.3434343434343434,
      0.9683640122360316,
      rocAuc,
      0.22,
    ]);
    expect(evaluation.perClass[2]).toEqual({ label: 'c', precision: 0, recall: 0, f1: 0, support: 0 });
  });

  it('leaves a class that neither occurs nor is predicted out of the averages', () => {
    const probabilities = binary.probabilities.map((row) => [...row, 0]);
    const evaluation = evaluate({ ...binary, probabilities, labels: ['grass', 'dandelion', 'rose'] });
    expect(evaluation.precision).toBeCloseTo(0.7083333333333334, 12);
    expect(evaluation.rocAuc).toBeCloseTo(0.74, 12);
  });

  it('gives a ROC-AUC of 0.5 where every image is of one class', () => {
    const evaluation = evaluate({ ...binary, truths: binary.truths.map(() => 1) });
    expect(evaluation.rocAuc).toBe(0.5);
    expect(evaluation.intervals.rocAuc).toEqual([0.5, 0.5]);
  });

  it('stays finite for a confident mistake and for a single image', () => {
    const evaluation = evaluate({ labels: ['a', 'b'], probabilities: [[1, 0]], truths: [1], seed: 1 });
    expect(evaluation.loss).toBeCloseTo(-Math.log(1e-15), 9);
    expect(evaluation.calibrationError).toBe(1);
    expect(figuresOf(evaluation).every(Number.isFinite)).toBe(true);
  });

  it('gives the same intervals for the same seed and others for another', () => {
    const first = evaluate(binary).intervals;
    expect(evaluate(binary).intervals).toEqual(first);
    expect(evaluate({ ...binary, seed: 2 }).intervals).not.toEqual(first);
  });

  it('gives an accuracy interval as wide as the binomial distribution does', () => {
    const images = 400;
    const probabilities = Array.from({ length: images }, (_, image) => (image % 10 === 0 ? [0.3, 0.7] : [0.7, 0.3]));
    const { accuracy, intervals } = evaluate({
      labels: ['a', 'b'],
      probabilities,
      truths: probabilities.map(() => 0),
      seed: 7,
    });
    const halfWidth = 1.96 * Math.sqrt((0.9 * 0.1) / images);
    expect(accuracy).toBeCloseTo(0.9, 12);
    expect(Math.abs(intervals.accuracy[0] - (0.9 - halfWidth))).toBeLessThan(0.006);
    expect(Math.abs(intervals.accuracy[1] - (0.9 + halfWidth))).toBeLessThan(0.006);
  });

  it('refuses an empty set and mismatched rows', () => {
    const codeFor = (change: object): string => {
      try {
        evaluate({ ...binary, ...change });
        return 'none';
      } catch (error) {
        return errorCodeOf(error);
      }
    };
    expect(codeFor({})).toBe('none');
    expect(codeFor({ probabilities: [], truths: [] })).toBe('dataset_too_small');
    expect(codeFor({ truths: [1] })).toBe('invalid_tensor');
    expect(codeFor({ truths: binary.truths.map(() => 2) })).toBe('invalid_tensor');
    expect(codeFor({ labels: ['a', 'b', 'c'] })).toBe('invalid_tensor');
    expect(codeFor({ probabilities: binary.probabilities.map(() => [NaN, 1]) })).toBe('invalid_tensor');
  });
});

describe('for any predictions', () => {
  const sample = fc.integer({ min: 2, max: 5 }).chain((classes) =>
    fc
      .array(
        fc.record({
          weights: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: classes, maxLength: classes }),
          truth: fc.nat(classes - 1),
        }),
        { minLength: 1, maxLength: 30 },
      )
      .map((images) => ({
        labels: Array.from({ length: classes }, (_, label) => `label ${label}`),
        probabilities: images.map(({ weights }) => {
          const sum = weights.reduce((total, weight) => total + weight + 0.01, 0);
          return weights.map((weight) => (weight + 0.01) / sum);
        }),
        truths: images.map(({ truth }) => truth),
        seed: 3,
      })),
  );

  it('every metric but the loss lies between 0 and 1, and so do the bounds of its interval, in order', () => {
    fc.assert(
      fc.property(sample, (input) => {
        const evaluation = evaluate(input);
        for (const [name, [low, high]] of Object.entries(evaluation.intervals)) {
          expect(low).toBeLessThanOrEqual(high);
          expect(low).toBeGreaterThanOrEqual(0);
          if (name !== 'loss') expect(high).toBeLessThanOrEqual(1 + 1e-12);
        }
        const [, , , , loss = NaN, ...shares] = figuresOf(evaluation);
        expect(loss).toBeGreaterThan(0);
        for (const share of shares) expect(share >= 0 && share <= 1 + 1e-12).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('ROC-AUC is the share of pairs that are ranked correctly', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.boolean()), { minLength: 2, maxLength: 40 }),
        (images) => {
          const scored = images.map(([score, positive]) => ({ chance: score / 8, positive }));
          const positives = scored.filter((image) => image.positive);
          const negatives = scored.filter((image) => !image.positive);
          fc.pre(positives.length > 0 && negatives.length > 0);
          const wins = positives.flatMap((a) =>
            negatives.map((b) => (a.chance > b.chance ? 1 : a.chance === b.chance ? 0.5 : 0)),
          );
          const { rocAuc } = evaluate({
            labels: ['no', 'yes'],
            probabilities: scored.map(({ chance }) => [1 - chance, chance]),
            truths: scored.map(({ positive }) => (positive ? 1 : 0)),
            seed: 1,
          });
          expect(rocAuc).toBeCloseTo(wins.reduce<number>((sum, win) => sum + win, 0) / wins.length, 12);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('the order of the images does not matter', () => {
    fc.assert(
      fc.property(sample, (input) => {
        const backwards = {
          ...input,
          probabilities: input.probabilities.toReversed(),
          truths: input.truths.toReversed(),
        };
        expectFigures(evaluate(backwards), figuresOf(evaluate(input)));
      }),
      { numRuns: 30 },
    );
  });
});

import fc from 'fast-check';
import { chooseTemperature, fitTemperature, meanLoss, softmax } from '../../../../model/evaluation/temperature.js';

const overconfident = {
  logits: [
    [4, 0],
    [3.5, 0],
    [0, 2.5],
    [0, 5],
    [3, 0],
    [0, 4.5],
    [2, 0],
    [0, 3],
    [0.5, 0],
    [0, 1],
  ],
  truths: [0, 0, 1, 1, 1, 1, 0, 0, 0, 1],
};

const sample = fc
  .integer({ min: 2, max: 4 })
  .chain((classes) =>
    fc.array(
      fc.tuple(
        fc.array(fc.double({ min: -20, max: 20, noNaN: true }), { minLength: classes, maxLength: classes }),
        fc.nat(classes - 1),
      ),
      { minLength: 1, maxLength: 40 },
    ),
  );

describe('softmax', () => {
  it('gives the known probabilities, softer at a higher temperature', () => {
    expect(softmax([Math.log(1), Math.log(3)], 1)[1]).toBeCloseTo(0.75, 12);
    expect(softmax([0, 2], 2)[1]).toBeCloseTo(1 / (1 + Math.exp(-1)), 12);
  });

  it('sums to one and keeps the order, however large the logits', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 6 }),
        fc.double({ min: 0.01, max: 100, noNaN: true }),
        (logits, temperature) => {
          const probabilities = softmax(logits, temperature);
          expect(probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 9);
          expect(Math.max(...probabilities)).toBe(probabilities[logits.indexOf(Math.max(...logits))]);
        },
      ),
    );
  });
});

describe('fitTemperature', () => {
  it('finds the known optimum of an overconfident model', () => {
    // By SciPy's minimize_scalar: T = 2.539753 brings the loss from 0.715599 down to 0.540601.
    const temperature = fitTemperature(overconfident.logits, overconfident.truths);
    expect(temperature).toBeCloseTo(2.539753, 4);
    expect(meanLoss(overconfident.logits, overconfident.truths, 1)).toBeCloseTo(0.715599, 6);
    expect(meanLoss(overconfident.logits, overconfident.truths, temperature)).toBeCloseTo(0.540601, 6);
  });

  it('undoes a scaling of the logits', () => {
    const tripled = overconfident.logits.map((row) => row.map((logit) => 3 * logit));
    const ratio =
      fitTemperature(tripled, overconfident.truths) / fitTemperature(overconfident.logits, overconfident.truths);
    expect(ratio).toBeCloseTo(3, 4);
  });

  it('sharpens an underconfident model', () => {
    const timid = overconfident.logits.map((row) => row.map((logit) => logit / 10));
    expect(fitTemperature(timid, overconfident.truths)).toBeLessThan(1);
  });

  it('smooths n right answers by the rule of succession', () => {
    // Eight right answers of two classes, each by a margin of 1: a confidence of 9/10 needs T = 1 / ln 9.
    const logits = Array.from({ length: 8 }, (_, image) => (image % 2 === 0 ? [1, 0] : [2, 3]));
    const truths = logits.map((_, image) => image % 2);
    expect(fitTemperature(logits, truths)).toBeCloseTo(1 / Math.log(9), 4);
  });

  it('stays at 1 for a model that is always right and more confident than that', () => {
    const logits = [
      [9, 0],
      [0, 12],
    ];
    expect(fitTemperature(logits, [0, 1])).toBe(1);
  });

  it('stays at 1 without an image', () => {
    expect(fitTemperature([], [])).toBe(1);
  });

  it('never makes the validation loss worse and stays a positive number', () => {
    fc.assert(
      fc.property(sample, (images) => {
        const logits = images.map(([row]) => row);
        const truths = images.map(([, truth]) => truth);
        const temperature = fitTemperature(logits, truths);
        expect(temperature).toBeGreaterThan(0);
        expect(Number.isFinite(temperature)).toBe(true);
        expect(meanLoss(logits, truths, temperature)).toBeLessThanOrEqual(meanLoss(logits, truths, 1));
      }),
    );
  });
});

describe('chooseTemperature', () => {
  const repeat = (times: number): typeof overconfident => ({
    logits: Array.from({ length: times }, () => overconfident.logits).flat(),
    truths: Array.from({ length: times }, () => overconfident.truths).flat(),
  });

  it('stays at 1 for ten images, and scales for fifty of the same', () => {
    const [few, many] = [repeat(1), repeat(5)];
    expect(chooseTemperature(few.logits, few.truths)).toBe(1);
    expect(chooseTemperature(many.logits, many.truths)).toBeCloseTo(2.539753, 4);
  });

  it('stays at 1 for calibrated logits', () => {
    // Nine of ten are right, at a confidence of 0.9.
    const logits = Array.from({ length: 200 }, () => [Math.log(9), 0]);
    const truths = logits.map((_, image) => (image % 10 === 0 ? 1 : 0));
    expect(chooseTemperature(logits, truths)).toBe(1);
  });
});

import fc from 'fast-check';
import sharp from 'sharp';
import type { EpochMetrics } from '../../../../contracts/training/training.js';
import { drawConfusionMatrix } from '../../../../model/charts/confusion-matrix.js';
import { measureReliability } from '../../../../model/evaluation/reliability.js';
import { drawReliability } from '../../../../model/charts/reliability.js';
import { drawCurves } from '../../../../model/charts/curves.js';
import { roundTicks, wholeTicks } from '../../../../model/charts/ticks.js';

function epochs(count: number): EpochMetrics[] {
  return Array.from({ length: count }, (_, epoch) => ({
    epoch,
    trainLoss: 0.7 / (epoch + 1),
    trainAccuracy: 1 - 0.4 / (epoch + 1),
    validationLoss: 0.8 / (epoch + 1),
    validationAccuracy: 1 - 0.5 / (epoch + 1),
    durationMs: 10,
  }));
}

/** Draws an SVG with a strict parser; gives its size. */
async function render(svg: string): Promise<{ width: number; height: number }> {
  const { info } = await sharp(Buffer.from(svg)).raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height };
}

function count(svg: string, part: string): number {
  return svg.split(part).length - 1;
}

describe('drawCurves', () => {
  it('shows four curves, the best epoch, axes and a legend', async () => {
    const svg = drawCurves(epochs(10), 7);
    expect(count(svg, '<polyline')).toBe(4);
    expect(svg).toContain('best epoch 7: validation loss 0.100, accuracy 93.8 %');
    for (const word of ['training', 'validation', 'Loss', 'Accuracy', 'epoch', '100 %'])
      expect(svg).toContain(`>${word}<`);
    expect(await render(svg)).toEqual({ width: 880, height: 380 });
  });

  it('shows precision, recall and F1 of the validation split where they were recorded', async () => {
    const averages = { validationPrecision: 0.9, validationRecall: 0.8, validationF1: 0.85 };
    const svg = drawCurves(
      epochs(10).map((epoch) => ({ ...epoch, ...averages })),
      7,
    );
    expect(count(svg, '<polyline')).toBe(7);
    expect(svg).toContain('accuracy 93.8 %, F1 85 %');
    for (const word of ['precision', 'recall', 'F1']) expect(svg).toContain(`>${word}<`);
    expect(await render(svg)).toEqual({ width: 1320, height: 380 });
  });

  it('puts each value where the axis says it is', () => {
    const svg = drawCurves(epochs(2), 0);
    // Training loss 0.7 and 0.35 on an axis from 0 (bottom, 326) to 0.8 (top, 84); epochs 0 and 1 at the panel's ends.
    expect(svg).toContain('points="70.0,114.3 416.0,220.1"');
  });

  it.each([0, 1, 3, 500])('draws %d epochs', async (number) => {
    const svg = drawCurves(epochs(number), 0);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    await render(svg);
  });

  it('omits values that are not finite', async () => {
    const diverged = epochs(4).map((epoch) => ({ ...epoch, trainLoss: NaN, validationLoss: Infinity }));
    const svg = drawCurves(diverged, 2);
    expect(svg.replaceAll('validation loss Infinity', '')).not.toMatch(/NaN|Infinity|undefined/);
    await render(svg);
  });
});

describe('drawConfusionMatrix', () => {
  const matrix = [
    [21, 2],
    [1, 20],
  ];

  it('shows each count with its share of the row, and a summary', async () => {
    const svg = drawConfusionMatrix(matrix, ['dandelion', 'grass']);
    for (const shown of ['21', '91.3 %', '2', '8.7 %', '1', '4.8 %', '20', '95.2 %'])
      expect(svg).toContain(`>${shown}<`);
    expect(svg).toContain('41 of 44 images right (93.2 %)');
    expect(svg).toContain('dandelion seen as grass: 2 of 23');
    await render(svg);
  });

  it('draws an empty matrix and a hundred classes', async () => {
    expect(
      drawConfusionMatrix(
        [
          [0, 0],
          [0, 0],
        ],
        ['a', 'b'],
      ),
    ).toContain('0 of 0 images right<');
    const labels = Array.from({ length: 100 }, (_, index) => `species ${index}`);
    const svg = drawConfusionMatrix(
      labels.map(() => labels.map(() => 1)),
      labels,
    );
    const { width, height } = await render(svg);
    expect(Math.max(width, height)).toBeLessThan(2200);
  });

  it('stays well formed whatever the classes are called', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', maxLength: 30 }),
        fc.string({ maxLength: 30 }),
        async (one, other) => {
          await render(drawConfusionMatrix(matrix, [one, other]));
        },
      ),
      { numRuns: 100 },
    );
    expect(drawConfusionMatrix(matrix, ['<script>', '"&'])).not.toContain('<script>');
  });
});

describe('drawReliability', () => {
  const probabilities = [0.95, 0.97, 0.99, 0.62].map((confidence) => [confidence, 1 - confidence]);
  const test = measureReliability(probabilities, [0, 0, 1, 0]);
  const calibration = { temperature: 1, test, validation: test, uncalibratedTest: test, riskImages: 4, riskCurve: [] };

  it('shows a bar for each confidence that occurs, its number of images, and the calibration error', async () => {
    const svg = drawReliability(calibration);
    // Two panels of two bars on the paper: three answers in the last bin, two of them right.
    expect(count(svg, '<rect')).toBe(1 + 2 * 2);
    expect(svg).toContain('y="172" width="22.13" height="160"');
    expect(svg).toContain('66.7 % of 3 right');
    expect(svg).toContain(`test calibration error ${test.calibrationError.toFixed(3)}; logits are not scaled`);
    expect(await render(svg)).toEqual({ width: 880, height: 404 });
  });

  it('states the calibration error before scaling', () => {
    const svg = drawReliability({
      ...calibration,
      temperature: 1.5,
      uncalibratedTest: { ...test, calibrationError: 0.25 },
    });
    expect(svg).toContain('0.250 before logits were divided by 1.500');
  });

  it('draws a thin bar where no answer is right', async () => {
    const wrong = measureReliability([[0.9, 0.1]], [1]);
    const svg = drawReliability({ ...calibration, test: wrong, validation: wrong });
    expect(count(svg, 'height="2"')).toBe(2);
    await render(svg);
  });
});

describe('ticks', () => {
  it('are round', () => {
    expect(roundTicks(0, 1, 6)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(roundTicks(0.61, 1, 5)).toEqual([0.6, 0.7, 0.8, 0.9, 1]);
    expect(wholeTicks(0, 59, 8)).toEqual([0, 10, 20, 30, 40, 50]);
    expect(wholeTicks(0, 0, 8)).toEqual([0]);
    expect(wholeTicks(0, 2, 8)).toEqual([0, 1, 2]);
  });

  it('cover every range with a few values in rising order', () => {
    const ends = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(ends, ends, fc.integer({ min: 2, max: 10 }), (a, b, wanted) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        fc.pre(high - low > 1e-3);
        const ticks = roundTicks(low, high, wanted);
        const slack = (high - low) * 1e-6;
        expect(ticks[0]).toBeLessThanOrEqual(low + slack);
        expect(ticks.at(-1)).toBeGreaterThanOrEqual(high - slack);
        expect(ticks.length).toBeLessThanOrEqual(wanted + 2);
        ticks.slice(1).forEach((tick, index) => expect(tick).toBeGreaterThan(ticks[index] ?? NaN));
      }),
    );
  });
});

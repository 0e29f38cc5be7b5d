import type { Calibration, RiskPoint } from '../../contracts/registry/bundle.js';

const thresholds = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

/** Section of the model card on confidence. Markdown. */
export function describeConfidence(calibration: Calibration): string[] {
  const { temperature, uncalibratedTest, test, riskImages, riskCurve } = calibration;
  const rows = thresholds.map((threshold) => describeThreshold(threshold, riskCurve, riskImages));
  const [before, after] = [uncalibratedTest.calibrationError.toFixed(3), test.calibrationError.toFixed(3)];
  return [
    ...(temperature === 1
      ? [`Its logits are not scaled; its test calibration error is ${after}.`]
      : [
          `Logits are divided by ${temperature.toFixed(3)}, fitted on the images below.`,
          `That took the test calibration error from ${before} to ${after}.`,
        ]),
    '',
    `Of ${riskImages} images that the answering classifier was not trained on:`,
    '',
    '| confidence of at least | answers | wrong |',
    '| --- | --- | --- |',
    ...rows,
    '',
    'When it serves, answers below a threshold are marked as abstentions: the lowest threshold that keeps wrong answers',
    'within the risk limit of the model policy, measured on these images. Images further from all training images than',
    'nearly all held-out ones are marked as out-of-distribution (`unfamiliar`); their confidence is not reliable.',
  ];
}

/** The curve has one point per distinct confidence, so the first point at or above a threshold holds its counts. */
function describeThreshold(threshold: number, curve: readonly RiskPoint[], images: number): string {
  const point = curve.find((one) => one.threshold >= threshold);
  const { accepted, wrong } = point ?? { accepted: 0, wrong: 0 };
  const ofAccepted = accepted === 0 ? '' : ` (${percent(wrong / accepted)})`;
  return `| ${threshold.toFixed(2)} | ${accepted} (${percent(accepted / images)}) | ${wrong}${ofAccepted} |`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

import { at, indexOfLargest } from './prepared.js';

const lowestTemperature = 0.01;
const highestTemperature = 100;

/**
 * Gain in log-likelihood that is significant at 5 %: half the 95 % quantile of chi-squared with one degree of freedom.
 */
const leastGain = 1.92;

/** Probabilities of `logits` divided by `temperature`; above 1 it softens them, below 1 it sharpens them. */
export function softmax(logits: readonly number[], temperature: number): number[] {
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp((logit - largest) / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/**
 * The temperature with the lowest mean negative log-likelihood on the validation images (Guo et al., 2017), or 1 where
 * scaling does not lower it. When every image is classified correctly, ever lower temperatures fit ever better; targets
 * are then smoothed by the rule of succession, as in Platt scaling.
 */
export function fitTemperature(logits: readonly (readonly number[])[], truths: readonly number[]): number {
  const allRight = logits.every((row, image) => indexOfLargest(row) === at(truths, image));
  const classes = logits[0]?.length ?? 0;
  const doubt = allRight ? 1 / (logits.length + classes) : 0;
  // Convex in 1/T, hence unimodal in log T, as golden-section search requires.
  const best = Math.exp(
    goldenSection(
      (logTemperature) => meanLoss(logits, truths, Math.exp(logTemperature), doubt),
      Math.log(lowestTemperature),
      Math.log(highestTemperature),
    ),
  );
  return meanLoss(logits, truths, best) < meanLoss(logits, truths, 1) ? best : 1;
}

/**
 * The fitted temperature if a likelihood-ratio test finds it better than 1, else 1. With a few dozen images the best
 * temperature is mostly noise: on photographs, using it made a well-trained classifier worse on new images on average
 * (docs/confidence.md).
 */
export function chooseTemperature(logits: readonly (readonly number[])[], truths: readonly number[]): number {
  const fitted = fitTemperature(logits, truths);
  const gain = logits.length * (meanLoss(logits, truths, 1) - meanLoss(logits, truths, fitted));
  return gain > leastGain ? fitted : 1;
}

/**
 * Mean cross-entropy at a temperature: the negative log-likelihood of the true classes, or with `doubt`, of smoothed
 * targets that give every other class that probability.
 */
export function meanLoss(
  logits: readonly (readonly number[])[],
  truths: readonly number[],
  temperature: number,
  doubt = 0,
): number {
  const losses = logits.map((row, image) => {
    const largest = Math.max(...row);
    const sum = row.reduce((total, logit) => total + Math.exp((logit - largest) / temperature), 0);
    const all = row.reduce((total, logit) => total + (logit - largest), 0);
    const expected = (1 - row.length * doubt) * (at(row, at(truths, image)) - largest) + doubt * all;
    return Math.log(sum) - expected / temperature;
  });
  return losses.reduce((total, loss) => total + loss, 0) / losses.length;
}

function goldenSection(valueAt: (x: number) => number, from: number, to: number): number {
  const golden = (Math.sqrt(5) - 1) / 2;
  let [low, high] = [from, to];
  while (high - low > 1e-6) {
    const left = high - golden * (high - low);
    const right = low + golden * (high - low);
    if (valueAt(left) <= valueAt(right)) high = right;
    else low = left;
  }
  return (low + high) / 2;
}

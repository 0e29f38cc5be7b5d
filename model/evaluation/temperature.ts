import { at, indexOfLargest } from './prepared.js';

const lowestTemperature = 0.01;
const highestTemperature = 100;

/** Probabilities of `logits` divided by `temperature`; above 1 they become more cautious, below 1 bolder. */
export function softmax(logits: readonly number[], temperature: number): number[] {
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp((logit - largest) / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/**
 * The temperature that makes the true classes most likely (Guo et al., 2017): minimises the mean negative
 * log-likelihood of the validation images, and never makes it worse than it is without scaling.
 * Where every image is already right, ever lower temperatures fit ever better and the images say nothing about how
 * bold the model may be: the temperature stays 1.
 */
export function fitTemperature(logits: readonly (readonly number[])[], truths: readonly number[]): number {
  if (logits.every((row, image) => indexOfLargest(row) === at(truths, image))) return 1;
  // Convex in 1/T, so with one valley in log T, where golden-section search is at home.
  const loss = (logTemperature: number): number => meanLoss(logits, truths, Math.exp(logTemperature));
  const best = goldenSection(loss, Math.log(lowestTemperature), Math.log(highestTemperature));
  return loss(best) < loss(0) ? Math.exp(best) : 1;
}

/** Mean negative log-likelihood of the true classes at a temperature. */
export function meanLoss(
  logits: readonly (readonly number[])[],
  truths: readonly number[],
  temperature: number,
): number {
  const losses = logits.map((row, image) => {
    const largest = Math.max(...row);
    const sum = row.reduce((total, logit) => total + Math.exp((logit - largest) / temperature), 0);
    return Math.log(sum) - (at(row, at(truths, image)) - largest) / temperature;
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

import type { RiskPoint } from '../../contracts/registry/bundle.js';
import { at, prepare } from './prepared.js';

/** Points of a curve: more thresholds than these tell no more, and take room in every bundle. */
const mostPoints = 512;

/**
 * What is accepted at each threshold, and how much of it is wrong: a point for each confidence that occurs, by ascending
 * threshold. Of more than 512, those that divide the answers evenly.
 */
export function drawRiskCurve(probabilities: readonly (readonly number[])[], truths: readonly number[]): RiskPoint[] {
  const { predicted, confidences } = prepare(probabilities, truths, probabilities[0]?.length ?? 0);
  const falling = truths
    .map((truth, image) => ({
      threshold: Math.min(1, at(confidences, image)),
      isWrong: at(predicted, image) !== truth,
    }))
    .sort((one, other) => other.threshold - one.threshold);
  const points: RiskPoint[] = [];
  let wrong = 0;
  falling.forEach(({ threshold, isWrong }, index) => {
    if (isWrong) wrong += 1;
    // Answers of one confidence are accepted together.
    if (falling[index + 1]?.threshold !== threshold) points.push({ threshold, accepted: index + 1, wrong });
  });
  return thin(points).reverse();
}

function thin(points: readonly RiskPoint[]): RiskPoint[] {
  if (points.length <= mostPoints) return [...points];
  const step = (points.length - 1) / (mostPoints - 1);
  return Array.from({ length: mostPoints }, (_, place) => points[Math.round(place * step)]).filter(
    (point) => point !== undefined,
  );
}

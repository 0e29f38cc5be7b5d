import type { RiskPoint } from '../../contracts/registry/bundle.js';
import { at, prepare } from './prepared.js';

/** Most points of a curve: more thresholds add no information, only bytes to every bundle. */
const mostPoints = 512;

/**
 * Accepted and wrong answers at each confidence threshold: one point per distinct confidence, by ascending threshold,
 * thinned evenly to 512.
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
    // Answers of equal confidence are accepted together.
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

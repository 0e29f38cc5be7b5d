import type { RiskPoint } from '../../contracts/registry/bundle.js';

/** The confidence from which a model answers, and the expected error of those answers. */
export interface Abstention {
  targetRisk: number;
  /** Answers below it are abstentions; null when the model never abstains. */
  threshold: number | null;
  /** Share of held-out images that are answered without abstaining. */
  coverage: number;
  /** Upper bound on the share of wrong answers among them; null when it is not known. */
  riskBound: number | null;
  /** Explanation in one or two sentences. */
  reason: string;
}

/**
 * Chooses the lowest confidence threshold for which (wrong + 1) / (accepted + 1) of the held-out images is at most
 * `targetRisk`. The added wrong answer stands for the next image, as in conformal risk control (Angelopoulos et al.,
 * 2022); the setting is selective classification (Geifman and El-Yaniv, 2017). If no threshold reaches the target, the
 * model never abstains, and `reason` says so.
 */
export function chooseAbstention(curve: readonly RiskPoint[] | null, targetRisk: number): Abstention {
  const neverAbstains = { targetRisk, threshold: null, coverage: 1, riskBound: null };
  if (targetRisk >= 1) return { ...neverAbstains, reason: 'The target risk is 100 %, so the model always answers.' };
  if (curve === null) {
    return {
      ...neverAbstains,
      reason: 'The bundle has no risk curve, so the model always answers. Train a new version to get one.',
    };
  }
  const images = Math.max(0, ...curve.map(({ accepted }) => accepted));
  const chosen = lowestWithin(curve, targetRisk);
  if (!chosen) return { ...neverAbstains, ...describeNone(curve, images, targetRisk) };
  const { threshold, accepted, wrong } = chosen;
  return {
    targetRisk,
    threshold,
    coverage: accepted / images,
    riskBound: riskBoundOf(chosen),
    reason: `Of ${images} held-out images, ${accepted} had a confidence of at least ${threshold.toFixed(3)}, and ${wrong} of those were wrong. Counting one more as wrong, the risk is ${percent(riskBoundOf(chosen))}.`,
  };
}

function lowestWithin(curve: readonly RiskPoint[], targetRisk: number): RiskPoint | null {
  return curve
    .filter((point) => riskBoundOf(point) <= targetRisk)
    .reduce<RiskPoint | null>((lowest, point) => (lowest && lowest.threshold < point.threshold ? lowest : point), null);
}

function describeNone(curve: readonly RiskPoint[], images: number, targetRisk: number): Pick<Abstention, 'reason'> {
  const lowest = curve.reduce((least, point) => Math.min(least, riskBoundOf(point)), 1);
  return {
    reason: `No threshold reaches a risk of ${percent(targetRisk)}: the lowest on ${images} held-out images is ${percent(lowest)}. The model always answers; add images, or accept a higher risk.`,
  };
}

/** Share of wrong answers among the accepted ones, counting one more as wrong. */
function riskBoundOf({ accepted, wrong }: RiskPoint): number {
  return (wrong + 1) / (accepted + 1);
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))} %`;
}

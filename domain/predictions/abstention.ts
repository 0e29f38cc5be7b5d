import type { RiskPoint } from '../../contracts/registry/bundle.js';

/** From which confidence on a model answers, and what is known of those answers. */
export interface Abstention {
  targetRisk: number;
  /** Answers below it are abstentions; null when it never abstains. */
  threshold: number | null;
  /** Share of held-out images it answers for. */
  coverage: number;
  /** What the share of wrong answers among those is taken for, at most; null when nothing is known of it. */
  riskBound: number | null;
  /** A sentence for people. */
  reason: string;
}

/**
 * The lowest confidence from which on the answers given are expected to be wrong no more often than `targetRisk`: where
 * (wrong + 1) / (accepted + 1) of the held-out images is within it. The one more wrong answer stands for the picture
 * that comes next, as in conformal risk control (Angelopoulos et al., 2022); the setting is selective classification
 * (Geifman and El-Yaniv, 2017). Without a threshold that can vouch for the target a model never abstains, and says so.
 */
export function chooseAbstention(curve: readonly RiskPoint[] | null, targetRisk: number): Abstention {
  const always = { targetRisk, threshold: null, coverage: 1, riskBound: null };
  if (targetRisk >= 1) return { ...always, reason: 'The target risk is 100 %: it always answers.' };
  if (curve === null) {
    return {
      ...always,
      reason: 'The bundle says nothing about its confidence. It always answers; train a new version.',
    };
  }
  const images = Math.max(0, ...curve.map(({ accepted }) => accepted));
  const chosen = lowestWithin(curve, targetRisk);
  if (!chosen) return { ...always, ...describeNone(curve, images, targetRisk) };
  const { threshold, accepted, wrong } = chosen;
  return {
    targetRisk,
    threshold,
    coverage: accepted / images,
    riskBound: boundOf(chosen),
    reason: `Of ${images} held-out images, ${accepted} had a confidence of at least ${threshold.toFixed(3)}, and ${wrong} of those were wrong: with one more counted as wrong, a share of ${percent(boundOf(chosen))}.`,
  };
}

function lowestWithin(curve: readonly RiskPoint[], targetRisk: number): RiskPoint | null {
  return curve
    .filter((point) => boundOf(point) <= targetRisk)
    .reduce<RiskPoint | null>((lowest, point) => (lowest && lowest.threshold < point.threshold ? lowest : point), null);
}

function describeNone(curve: readonly RiskPoint[], images: number, targetRisk: number): Pick<Abstention, 'reason'> {
  const lowest = curve.reduce((least, point) => Math.min(least, boundOf(point)), 1);
  return {
    reason: `No threshold can vouch for a risk of ${percent(targetRisk)}: the best of ${images} held-out images is ${percent(lowest)}. It always answers; add images, or accept a higher risk.`,
  };
}

/** Share of wrong answers among those accepted, counting the next one as wrong. */
function boundOf({ accepted, wrong }: RiskPoint): number {
  return (wrong + 1) / (accepted + 1);
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))} %`;
}

import type { LabelReason, LabelStrategy } from '../../contracts/predictions/labels.js';

/** What is known of a prediction that may need a label. */
export interface LabelEvidence {
  id: string;
  probabilities: Readonly<Record<string, number>>;
  predicted: string;
  abstained: boolean;
  unfamiliar: boolean;
  neighbour: string | null;
  /** People gave it different labels, and none was accepted. */
  conflicted: boolean;
  /** Classes that versions of the model predicted for the same image. */
  answers: readonly string[];
}

export interface LabelPriority {
  /** From 0 to 1; the label queue shows the highest first. */
  score: number;
  uncertainty: number;
  disagreement: number;
  reasons: LabelReason[];
}

/** Uncertainty from which it is given as a reason. */
const uncertainFrom = 0.5;
/** Weight of each sign of disagreement: people count most, the nearest training image least. */
const disagreementOf = { people_disagree: 1, versions_disagree: 0.8, neighbour_disagrees: 0.5 } as const;
/** Weight of an abstention, and of an out-of-distribution image. */
const weightOf = { abstained: 0.3, unfamiliar: 0.4 } as const;
/** Digits of a score when it is compared or written into a page token. */
const scoreDigits = 9;

/**
 * How useful a label of this prediction would be. The signs are combined like independent probabilities (noisy or):
 * each raises the score, and none can raise it above 1.
 */
export function labelPriority(evidence: LabelEvidence, strategy: LabelStrategy): LabelPriority {
  const uncertainty = uncertaintyOf(Object.values(evidence.probabilities));
  const signs = disagreements(evidence);
  const disagreement = noisyOr(signs.map((sign) => disagreementOf[sign]));
  const others = (['abstained', 'unfamiliar'] as const).filter((sign) => evidence[sign]);
  const score = {
    balanced: () => noisyOr([uncertainty, disagreement, ...others.map((sign) => weightOf[sign])]),
    uncertainty: () => uncertainty,
    disagreement: () => disagreement,
    newest: () => 0,
  }[strategy]();
  return {
    score: Number(score.toFixed(scoreDigits)),
    uncertainty,
    disagreement,
    reasons: [...(uncertainty >= uncertainFrom ? (['uncertain'] as const) : []), ...others, ...signs],
  };
}

/** Orders by score, highest first, then by id, newest first. */
export function byPriority(a: { score: number; id: string }, b: { score: number; id: string }): number {
  if (a.score !== b.score) return b.score - a.score;
  if (a.id === b.id) return 0;
  return a.id < b.id ? 1 : -1;
}

/** Normalized entropy: 0 when one class has probability 1, 1 when all classes are equal. */
function uncertaintyOf(probabilities: readonly number[]): number {
  if (probabilities.length < 2) return 0;
  const entropy = probabilities.reduce((sum, share) => (share > 0 ? sum - share * Math.log(share) : sum), 0);
  return Math.min(1, Math.max(0, entropy / Math.log(probabilities.length)));
}

function disagreements({ conflicted, answers, neighbour, predicted }: LabelEvidence): (keyof typeof disagreementOf)[] {
  return [
    ...(conflicted ? (['people_disagree'] as const) : []),
    ...(new Set([...answers, predicted]).size > 1 ? (['versions_disagree'] as const) : []),
    ...(neighbour !== null && neighbour !== predicted ? (['neighbour_disagrees'] as const) : []),
  ];
}

/** Probability that at least one of several independent events happens. */
function noisyOr(chances: readonly number[]): number {
  return 1 - chances.reduce((none, chance) => none * (1 - chance), 1);
}

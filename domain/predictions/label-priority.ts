import type { LabelReason, LabelStrategy } from '../../contracts/predictions/labels.js';

/** What is known of a prediction that may be worth a person's time. */
export interface LabelEvidence {
  id: string;
  probabilities: Readonly<Record<string, number>>;
  predicted: string;
  abstained: boolean;
  unfamiliar: boolean;
  neighbour: string | null;
  /** People gave it different labels, and nobody has decided. */
  conflicted: boolean;
  /** Classes that versions of the model have seen in the same picture. */
  answers: readonly string[];
}

export interface LabelPriority {
  /** From 0 to 1; the higher, the sooner somebody is asked. */
  score: number;
  uncertainty: number;
  disagreement: number;
  reasons: LabelReason[];
}

/** Share of the greatest possible uncertainty from which it is named as a reason. */
const uncertainFrom = 0.5;
/** How much each sign of disagreement counts: people who differ know most, a neighbour least. */
const disagreementOf = { people_disagree: 1, versions_disagree: 0.8, neighbour_disagrees: 0.5 } as const;
/** What abstaining, or being unlike anything trained on, is worth by itself. */
const weightOf = { abstained: 0.3, unfamiliar: 0.4 } as const;
/** Scores are compared, and written into page tokens, with so many digits. */
const scoreDigits = 9;

/**
 * How much a label of this prediction would tell. The signs are put together as independent chances would be: each
 * raises the score, none can raise it above 1.
 */
export function labelPriority(evidence: LabelEvidence, strategy: LabelStrategy): LabelPriority {
  const uncertainty = uncertaintyOf(Object.values(evidence.probabilities));
  const signs = disagreements(evidence);
  const disagreement = either(signs.map((sign) => disagreementOf[sign]));
  const others = (['abstained', 'unfamiliar'] as const).filter((sign) => evidence[sign]);
  const score = {
    balanced: () => either([uncertainty, disagreement, ...others.map((sign) => weightOf[sign])]),
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

/** Orders by score, the highest first, then by id, the newest first. */
export function byPriority(a: { score: number; id: string }, b: { score: number; id: string }): number {
  if (a.score !== b.score) return b.score - a.score;
  if (a.id === b.id) return 0;
  return a.id < b.id ? 1 : -1;
}

/** Entropy as a share of what it can be: 0 when one class has it all, 1 when all are alike. */
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

/** Chance that at least one of several independent things is so. */
function either(chances: readonly number[]): number {
  return 1 - chances.reduce((none, chance) => none * (1 - chance), 1);
}

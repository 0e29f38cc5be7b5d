import type { LiveStats } from '../../contracts/promotion/live-stats.js';
import type { GuardPolicy } from '../../contracts/promotion/policy.js';
import { percent } from '../percent.js';

export interface GuardInput {
  policy: GuardPolicy;
  /** Live metrics of the guarded version, one for each replica. */
  current: readonly LiveStats[];
  /** Live metrics of the previous version, one for each replica. */
  previous: readonly LiveStats[];
  /** Mean confidence of the guarded version on its test images; null when it was not measured. */
  testConfidence: number | null;
}

export interface GuardJudgement {
  /** Predictions and failures so far. */
  observed: number;
  /** What is wrong, with value and threshold; null when nothing is, or when there are too few predictions. */
  breach: string | null;
}

interface Totals {
  predictions: number;
  errors: number;
  worstP95Ms: number | null;
  meanConfidence: number | null;
  topClass: { label: string; share: number } | null;
}

/** How much the share of the most frequent class may grow before that counts as a collapse. */
const noticeableGrowth = 0.1;

/** Judges the first minutes of a version: errors, latency, and a collapse of its confidence or of its classes. */
export function judgeGuard({ policy, current, previous, testConfidence }: GuardInput): GuardJudgement {
  const now = totalsOf(current);
  const before = totalsOf(previous);
  const observed = now.predictions + now.errors;
  if (observed < policy.minPredictions) return { observed, breach: null };
  const isKnown = before.predictions >= policy.minPredictions;
  const breach =
    judgeErrors(now, observed, policy) ??
    judgeLatency(now, policy) ??
    judgeConfidence(now, isKnown ? before.meanConfidence : testConfidence, policy) ??
    judgeClasses(now, isKnown ? before : null, policy);
  return { observed, breach };
}

function judgeErrors({ errors }: Totals, observed: number, { maxErrorShare }: GuardPolicy): string | null {
  const share = errors / observed;
  if (share <= maxErrorShare) return null;
  return `${errors} of ${observed} predictions failed (${percent(share)}; at most ${percent(maxErrorShare)} are allowed).`;
}

function judgeLatency({ worstP95Ms }: Totals, { maxP95Ms }: GuardPolicy): string | null {
  if (worstP95Ms === null || worstP95Ms <= maxP95Ms) return null;
  return `The 95th percentile of the latency is ${Math.round(worstP95Ms)} ms; at most ${maxP95Ms} ms are allowed.`;
}

function judgeConfidence(
  { meanConfidence, predictions }: Totals,
  expected: number | null,
  { minConfidenceRatio }: GuardPolicy,
): string | null {
  if (meanConfidence === null || expected === null || meanConfidence >= expected * minConfidenceRatio) return null;
  return `Confidence has collapsed: ${meanConfidence.toFixed(3)} on average over ${predictions} predictions; ${expected.toFixed(3)} is usual, at least ${(expected * minConfidenceRatio).toFixed(3)} is required.`;
}

/** Many images of one class may be real traffic; it is a fault only if the previous version predicted another mix. */
function judgeClasses({ topClass }: Totals, before: Totals | null, { maxClassShare }: GuardPolicy): string | null {
  if (topClass === null || before?.topClass === undefined || before.topClass === null) return null;
  const usual = before.topClass.share;
  if (topClass.share < maxClassShare || topClass.share < usual + noticeableGrowth) return null;
  return `The classes have collapsed: ${percent(topClass.share)} of the predictions are “${topClass.label}”; the most frequent class of the previous version had ${percent(usual)}.`;
}

function totalsOf(stats: readonly LiveStats[]): Totals {
  const sum = (value: (each: LiveStats) => number): number => stats.reduce((total, each) => total + value(each), 0);
  const predictions = sum((each) => each.predictions);
  const latencies = stats.flatMap(({ p95Ms }) => (p95Ms === null ? [] : [p95Ms]));
  return {
    predictions,
    errors: sum((each) => each.errors),
    worstP95Ms: latencies.length === 0 ? null : Math.max(...latencies),
    meanConfidence: predictions === 0 ? null : sum((each) => each.confidenceSum) / predictions,
    topClass: topClassOf(stats, predictions),
  };
}

function topClassOf(figures: readonly LiveStats[], predictions: number): Totals['topClass'] {
  const counts = new Map<string, number>();
  for (const { classes } of figures) {
    for (const [label, count] of Object.entries(classes)) counts.set(label, (counts.get(label) ?? 0) + count);
  }
  const top = [...counts].sort(([, a], [, b]) => b - a)[0];
  return top && predictions > 0 ? { label: top[0], share: top[1] / predictions } : null;
}

import type { LiveStats } from '../../contracts/promotion/live-stats.js';
import type { GuardPolicy } from '../../contracts/promotion/policy.js';
import { percent } from '../percent.js';

export interface GuardView {
  policy: GuardPolicy;
  /** What each replica saw of the version that is watched. */
  current: readonly LiveStats[];
  /** What each saw of the version before it. */
  former: readonly LiveStats[];
  /** Mean confidence of the version on its test images; null when it was never measured. */
  testConfidence: number | null;
}

export interface GuardJudgement {
  /** Predictions and failures that were seen so far. */
  seen: number;
  /** What is wrong, with figure and threshold; null as long as nothing is, or too little was seen. */
  breach: string | null;
}

interface Totals {
  predictions: number;
  errors: number;
  worstP95Ms: number | null;
  meanConfidence: number | null;
  topClass: { label: string; share: number } | null;
}

/** Room that the share of a class may grow by before it is called a collapse. */
const noticeableGrowth = 0.1;

/** Judges the first minutes of a version: failures, latency, and a collapse of its confidence or of its classes. */
export function judgeGuard({ policy, current, former, testConfidence }: GuardView): GuardJudgement {
  const now = totalsOf(current);
  const before = totalsOf(former);
  const seen = now.predictions + now.errors;
  if (seen < policy.minPredictions) return { seen, breach: null };
  const isKnown = before.predictions >= policy.minPredictions;
  const breach =
    judgeErrors(now, seen, policy) ??
    judgeLatency(now, policy) ??
    judgeConfidence(now, isKnown ? before.meanConfidence : testConfidence, policy) ??
    judgeClasses(now, isKnown ? before : null, policy);
  return { seen, breach };
}

function judgeErrors({ errors }: Totals, seen: number, { maxErrorShare }: GuardPolicy): string | null {
  const share = errors / seen;
  if (share <= maxErrorShare) return null;
  return `${errors} of ${seen} predictions failed (${percent(share)}; at most ${percent(maxErrorShare)} are allowed).`;
}

function judgeLatency({ worstP95Ms }: Totals, { maxP95Ms }: GuardPolicy): string | null {
  if (worstP95Ms === null || worstP95Ms <= maxP95Ms) return null;
  return `The 95th percentile of a prediction's time is ${Math.round(worstP95Ms)} ms; ${maxP95Ms} ms are allowed.`;
}

function judgeConfidence(
  { meanConfidence, predictions }: Totals,
  expected: number | null,
  { minConfidenceRatio }: GuardPolicy,
): string | null {
  if (meanConfidence === null || expected === null || meanConfidence >= expected * minConfidenceRatio) return null;
  return `Confidence has collapsed: ${meanConfidence.toFixed(3)} on average over ${predictions} predictions, where ${expected.toFixed(3)} was usual and ${(expected * minConfidenceRatio).toFixed(3)} is the least.`;
}

/** Many pictures of one class are no fault of a model; it is one when the model before it saw another mix. */
function judgeClasses({ topClass }: Totals, before: Totals | null, { maxClassShare }: GuardPolicy): string | null {
  if (topClass === null || before?.topClass === undefined || before.topClass === null) return null;
  const usual = before.topClass.share;
  if (topClass.share < maxClassShare || topClass.share < usual + noticeableGrowth) return null;
  return `The classes have collapsed: ${percent(topClass.share)} of the predictions are ${topClass.label}; the most frequent class of the version before had ${percent(usual)}.`;
}

function totalsOf(figures: readonly LiveStats[]): Totals {
  const sum = (value: (each: LiveStats) => number): number => figures.reduce((total, each) => total + value(each), 0);
  const predictions = sum((each) => each.predictions);
  const latencies = figures.flatMap(({ p95Ms }) => (p95Ms === null ? [] : [p95Ms]));
  return {
    predictions,
    errors: sum((each) => each.errors),
    worstP95Ms: latencies.length === 0 ? null : Math.max(...latencies),
    meanConfidence: predictions === 0 ? null : sum((each) => each.confidenceSum) / predictions,
    topClass: topClassOf(figures, predictions),
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

import type { ApprovalPolicy } from '../../contracts/promotion/policy.js';
import type { Comparison, Decision, gateChecks } from '../../contracts/registry/registry.js';
import { percent } from '../percent.js';
import { judgeMeasures, type GateMeasures, type GateRules } from './gate-measures.js';

type Reason = Decision['reasons'][number];
type Check = (typeof gateChecks)[number];

export interface GateInput extends GateMeasures {
  rules: GateRules;
  /** Candidate and Production on the same images; null when they cannot be compared. */
  comparison: Comparison | null;
  /** Why they cannot, as a clause: "there is no model in Production". */
  notCompared: string | null;
  sameDatasetVersion: boolean;
  sameClasses: boolean;
  /** When the policy of the model requires approval. */
  approval: ApprovalPolicy;
  smokeTest: { passed: boolean; detail: string };
  parity: { passed: boolean; detail: string };
}

/**
 * Decides whether a candidate may be promoted, with a reason for each check. Different classes do not refuse it but may
 * require approval; any other failed check refuses it.
 */
export function decidePromotion(input: GateInput): Decision {
  const reasons = [
    ...judgeMeasures(input, input.rules),
    judgeComparison(input),
    judgeChange(input),
    judgeClasses(input),
    reason('smoke_test', input.smokeTest.passed, input.smokeTest.detail),
    reason('export_parity', input.parity.passed, input.parity.detail),
  ];
  const failed = reasons.filter(({ passed }) => !passed);
  const refusals = failed.filter(({ check }) => check !== 'same_classes');
  if (refusals.length > 0) {
    const summary = `Refused: ${refusals.map(({ detail }) => detail).join(' ')}`;
    return { outcome: 'refuse', summary, reasons, comparison: input.comparison };
  }
  const accuracy = `test accuracy ${percent(input.candidate.accuracy)}`;
  const question = approvalQuestion({ reasons, comparison: input.comparison }, input.approval);
  if (question !== null) {
    const summary = `Needs approval: ${question} (${accuracy}).`;
    return { outcome: 'needs_approval', summary, reasons, comparison: input.comparison };
  }
  return { outcome: 'promote', summary: passedSummary(input, accuracy), reasons, comparison: input.comparison };
}

/** Returns why a version that passed its checks needs approval; null when it needs none. */
export function approvalQuestion(
  { reasons, comparison }: Pick<Decision, 'reasons' | 'comparison'>,
  { mode, minGain }: ApprovalPolicy,
): string | null {
  if (mode === 'never') return null;
  if (reasons.some(({ check, passed }) => check === 'same_classes' && !passed)) {
    return 'the classes differ from those of Production or of the dataset';
  }
  if (comparison && comparison.difference < minGain) {
    return `the gain of ${points(comparison.difference)} is below the ${points(minGain)} that needs no approval`;
  }
  return mode === 'always' ? 'the policy of the model always requires it' : null;
}

/** The gate only decides: whether the version is promoted is another step. */
function passedSummary({ comparison, notCompared }: GateInput, accuracy: string): string {
  if (!comparison) return `Passed: ${accuracy}; not compared: ${notCompared ?? 'no reason given'}.`;
  return `Passed: ${accuracy}; ${points(comparison.difference)} against version ${comparison.productionVersion} on the same ${comparison.images} images.`;
}

function judgeComparison({ comparison, notCompared }: GateInput): Reason {
  const check = 'not_worse_than_production';
  if (!comparison) return reason(check, true, `Not compared: ${notCompared ?? 'no reason given'}.`);
  const { difference, interval, productionVersion, images } = comparison;
  const [low, high] = interval;
  return reason(
    check,
    difference >= 0,
    `Accuracy differs by ${points(difference)} (95 % interval ${points(low)} to ${points(high)}) from version ${productionVersion} on the same ${images} images; at least 0 is required.`,
  );
}

function judgeChange({ comparison, notCompared, sameDatasetVersion }: GateInput): Reason {
  const check = 'something_changed';
  if (!comparison) return reason(check, true, `Not compared: ${notCompared ?? 'no reason given'}.`);
  const unchanged = sameDatasetVersion && comparison.candidateAccuracy === comparison.productionAccuracy;
  return reason(
    check,
    !unchanged,
    unchanged
      ? `No change: the same dataset version and the same accuracy as version ${comparison.productionVersion}.`
      : 'The dataset version or the accuracy differs from Production.',
  );
}

function judgeClasses({ sameClasses }: GateInput): Reason {
  return reason(
    'same_classes',
    sameClasses,
    sameClasses
      ? 'The classes are those of Production, or there is no model in Production.'
      : 'The classes differ from those of Production or of the dataset: the accuracies are not comparable.',
  );
}

function reason(check: Check, passed: boolean, detail: string): Reason {
  return { check, passed, detail };
}

function points(difference: number): string {
  return `${difference > 0 ? '+' : ''}${(difference * 100).toFixed(1)} points`;
}

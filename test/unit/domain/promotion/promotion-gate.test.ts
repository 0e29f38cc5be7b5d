import type { z } from 'zod';
import type { Decision, Comparison } from '../../../../contracts/registry/registry.js';
import { approvalPolicySchema } from '../../../../contracts/promotion/policy.js';
import { decidePromotion, type GateInput } from '../../../../domain/promotion/promotion-gate.js';
import { evaluationOf, gateDefaults } from '../../../support/measurements.js';

const comparison: Comparison = {
  productionVersion: 3,
  images: 100,
  candidateAccuracy: 0.95,
  productionAccuracy: 0.93,
  difference: 0.02,
  interval: [-0.01, 0.05],
  onlyCandidateRight: 3,
  onlyProductionRight: 1,
  mcnemarPValue: 0.6,
};

const good: GateInput = {
  candidate: evaluationOf(0.95),
  rules: { ...gateDefaults, aboveMajority: true },
  crossValidation: null,
  answerTime: null,
  comparison,
  notCompared: null,
  sameDatasetVersion: false,
  sameClasses: true,
  approval: approvalPolicySchema.parse({}),
  smokeTest: { passed: true, detail: 'It answers.' },
  parity: { passed: true, detail: 'It agrees.' },
};

function failedChecks(input: GateInput): string[] {
  return decidePromotion(input).reasons.flatMap(({ check, passed }) => (passed ? [] : [check]));
}

describe('the promotion gate', () => {
  it('promotes a candidate that is good enough and not worse, with a reason for each check', () => {
    const decision = decidePromotion(good);
    expect(decision.outcome).toBe('promote');
    expect(decision.summary).toMatch(/95.0 %.*\+2.0 points against version 3 on the same 100 images/);
    expect(decision.reasons.map(({ check }) => check)).toEqual([
      'minimum_accuracy',
      'class_recall',
      'above_majority',
      'cross_validation',
      'answer_time',
      'not_worse_than_production',
      'something_changed',
      'same_classes',
      'smoke_test',
      'export_parity',
    ]);
    expect(decision.comparison).toEqual(comparison);
  });

  it('promotes the first model without a comparison', () => {
    const decision = decidePromotion({ ...good, comparison: null, notCompared: 'there is no model in Production' });
    expect(decision.outcome).toBe('promote');
    expect(decision.summary).toMatch(/no model in Production/);
  });

  it('accepts exactly the minimum accuracy, and nothing below it', () => {
    expect(decidePromotion({ ...good, candidate: evaluationOf(0.8) }).outcome).toBe('promote');
    const below = decidePromotion({ ...good, candidate: evaluationOf(0.79) });
    expect(below.outcome).toBe('refuse');
    expect(below.summary).toMatch(/79.0 % is below the minimum of 80.0 %/);
  });

  it('accepts a difference of exactly zero on another dataset version, and nothing below it', () => {
    const equal = { ...comparison, candidateAccuracy: 0.93, difference: 0 };
    expect(decidePromotion({ ...good, comparison: equal }).outcome).toBe('promote');
    const worse = { ...comparison, candidateAccuracy: 0.92, difference: -0.01 };
    expect(failedChecks({ ...good, comparison: worse })).toEqual(['not_worse_than_production']);
  });

  it('calls the same score on the same dataset version no change', () => {
    const equal = { ...comparison, candidateAccuracy: 0.93, difference: 0 };
    const decision = decidePromotion({ ...good, comparison: equal, sameDatasetVersion: true });
    expect(decision.outcome).toBe('refuse');
    expect(decision.summary).toMatch(/^Refused: No change/);
    expect(failedChecks({ ...good, sameDatasetVersion: true })).toEqual([]);
  });

  it('requires approval when the classes differ, but only if all other checks pass', () => {
    const other = { ...good, comparison: null, sameClasses: false };
    expect(decidePromotion(other).outcome).toBe('needs_approval');
    expect(decidePromotion({ ...other, candidate: evaluationOf(0.5) }).outcome).toBe('refuse');
  });

  it('refuses a candidate that fails its smoke test or its export parity, with the detail of the check', () => {
    const broken = { passed: false, detail: 'It answers nonsense.' };
    expect(decidePromotion({ ...good, smokeTest: broken })).toMatchObject({
      outcome: 'refuse',
      summary: 'Refused: It answers nonsense.',
    });
    expect(failedChecks({ ...good, parity: broken, smokeTest: broken })).toEqual(['smoke_test', 'export_parity']);
  });

  const asking = (policy: z.input<typeof approvalPolicySchema>, more: Partial<GateInput> = {}): Decision =>
    decidePromotion({ ...good, ...more, approval: approvalPolicySchema.parse(policy) });

  it('requires approval always, never, or when the gain is small, as the policy says', () => {
    expect(asking({ mode: 'always' }).summary).toMatch(/Needs approval: the policy .* always/);
    expect(asking({ mode: 'when_needed', minGain: 0.03 })).toMatchObject({ outcome: 'needs_approval' });
    expect(asking({ mode: 'when_needed', minGain: 0.03 }).summary).toMatch(/gain of \+2.0 points is below the \+3.0/);
    expect(asking({ mode: 'when_needed', minGain: 0.02 }).outcome).toBe('promote');
    expect(asking({ mode: 'never', minGain: 0.5 }).outcome).toBe('promote');
  });

  it('requires no approval when a check failed, nor for other classes when the policy says never', () => {
    const otherClasses = { comparison: null, notCompared: 'Production has other classes', sameClasses: false };
    expect(asking({ mode: 'never' }, otherClasses).outcome).toBe('promote');
    expect(asking({ mode: 'always' }, { rules: { ...good.rules, minAccuracy: 0.99 } }).outcome).toBe('refuse');
  });
});

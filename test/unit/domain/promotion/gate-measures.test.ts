import { gatePolicySchema } from '../../../../contracts/promotion/policy.js';
import type { Evaluation } from '../../../../contracts/training/training.js';
import {
  gateRulesOf,
  judgeMeasures,
  type GateMeasures,
  type GateRules,
} from '../../../../domain/promotion/gate-measures.js';
import { evaluationOf, gateDefaults } from '../../../support/measurements.js';

const rules: GateRules = { ...gateDefaults, aboveMajority: true };

/** An evaluation with this many right answers of this many images of each class. */
function evaluationWith(classes: Record<string, [right: number, images: number]>): Evaluation {
  const counts = Object.values(classes);
  const sumOf = (index: 0 | 1): number => counts.reduce((sum, each) => sum + each[index], 0);
  return {
    ...evaluationOf(sumOf(0) / sumOf(1)),
    images: sumOf(1),
    perClass: Object.entries(classes).map(([label, [right, support]]) => {
      const recall = support === 0 ? 0 : right / support;
      return { label, precision: recall, recall, f1: recall, support };
    }),
  };
}

function detailsOf(measures: Partial<GateMeasures>, changes: Partial<GateRules> = {}): Record<string, string> {
  const whole = { candidate: evaluationOf(0.95), crossValidation: null, answerTime: null, ...measures };
  const reasons = judgeMeasures(whole, { ...rules, ...changes });
  return Object.fromEntries(reasons.map(({ check, passed, detail }) => [check, `${passed ? 'ok' : 'no'}: ${detail}`]));
}

describe('the recall of every class', () => {
  it('refuses a class whose whole interval is below the minimum, with its figures', () => {
    const candidate = evaluationWith({ meadow: [190, 200], lawn: [2, 20], path: [20, 20] });
    expect(detailsOf({ candidate })['class_recall']).toBe(
      'no: Recall is below the minimum of 50.0 % for “lawn”: 10.0 % (2 of 20 test images, 95 % interval 2.8 % to 30.1 %).',
    );
  });

  it('refuses nothing on the evidence of two images, and says how little it is', () => {
    const candidate = evaluationWith({ meadow: [36, 36], lawn: [0, 2] });
    expect(detailsOf({ candidate })['class_recall']).toMatch(
      /^ok: .*the lowest is that of “lawn”: 0.0 % \(0 of 2 test images, 95 % interval 0.0 % to 65.8 %\)\.$/,
    );
  });

  it('follows the setting, and leaves out classes without a test image', () => {
    const candidate = evaluationWith({ meadow: [36, 36], lawn: [2, 20], unseen: [0, 0] });
    expect(detailsOf({ candidate }, { minRecall: 0.3 })['class_recall']).toMatch(/^ok/);
    expect(detailsOf({ candidate }, { minRecall: 0.31 })['class_recall']).toMatch(/^no/);
  });

  it('names the classes without a test image, in a refusal too, and says when there are no test images', () => {
    const candidate = evaluationWith({ meadow: [36, 36], unseen: [0, 0], path: [0, 0] });
    const ending = / Not measured, for lack of test images: “unseen”, “path”\.$/;
    expect(detailsOf({ candidate })['class_recall']).toMatch(ending);
    const weak = evaluationWith({ meadow: [2, 36], unseen: [0, 0], path: [0, 0] });
    expect(detailsOf({ candidate: weak })['class_recall']).toMatch(new RegExp(`^no: .*${ending.source}`));
    const none = evaluationWith({ meadow: [0, 0], lawn: [0, 0] });
    expect(detailsOf({ candidate: none })['class_recall']).toBe(
      'ok: Recall was not measured: there are no test images.',
    );
  });

  it('and every other rule of the measures pass where the policy turns them off', () => {
    const candidate = evaluationWith({ meadow: [2, 36], lawn: [0, 20] });
    const crossValidation = { folds: 5, accuracies: [], standardDeviation: 0.01, meanAccuracy: 0.1 };
    const off = { minAccuracy: 0, minRecall: 0, aboveMajority: false, minCrossValidatedAccuracy: 0 };
    const details = Object.values(detailsOf({ candidate, crossValidation }, off));
    expect(details.filter((detail) => !detail.startsWith('ok'))).toEqual([]);
  });
});

describe('being better than the majority', () => {
  it('refuses what a constant answer reaches as well, also where its accuracy is high', () => {
    const candidate = evaluationWith({ meadow: [35, 36], lawn: [0, 2] });
    expect(detailsOf({ candidate })['above_majority']).toBe(
      'no: Test accuracy 92.1 % (95 % interval 79.2 % to 97.3 %) is not above the 94.7 % of always answering “meadow” (36 of 38 test images).',
    );
    const constant = evaluationWith({ meadow: [36, 36], lawn: [0, 2] });
    expect(detailsOf({ candidate: constant })['above_majority']).toMatch(/^no/);
    const better = evaluationWith({ meadow: [36, 36], lawn: [1, 2] });
    expect(detailsOf({ candidate: better })['above_majority']).toMatch(/^ok: .* is above the 94.7 %/);
  });

  it('judges nothing on test images of one class, or where the policy does not ask', () => {
    const candidate = evaluationWith({ meadow: [36, 36], lawn: [0, 0] });
    expect(detailsOf({ candidate })['above_majority']).toMatch(/^ok: Not measured/);
    const constant = evaluationWith({ meadow: [36, 36], lawn: [0, 2] });
    expect(detailsOf({ candidate: constant }, { aboveMajority: false })['above_majority']).toMatch(/^ok: Not required/);
  });
});

describe('cross-validation and answer time', () => {
  const folds = { folds: 5, accuracies: [], standardDeviation: 0.05 };

  it('refuses a mean accuracy whose whole interval is below the minimum', () => {
    const weak = { ...folds, meanAccuracy: 0.6 };
    expect(detailsOf({ crossValidation: weak })['cross_validation']).toBe(
      'no: Mean accuracy over 5 folds 60.0 % (95 % interval 53.8 % to 66.2 %) is below the minimum of 70.0 %.',
    );
    const doubtful = { ...folds, meanAccuracy: 0.66 };
    expect(detailsOf({ crossValidation: doubtful })['cross_validation']).toMatch(/^ok: .* not significantly below/);
  });

  it('refuses slow answers', () => {
    expect(detailsOf({ answerTime: { images: 20, p95Ms: 2_001 } })['answer_time']).toMatch(/^no: .* 2001.0 ms .* 2000/);
    expect(detailsOf({ answerTime: { images: 20, p95Ms: 12 } })['answer_time']).toMatch(/^ok: .* 12.0 ms over 20 test/);
  });

  it('pass where nothing was measured, as of imported and older versions, and say so', () => {
    const { cross_validation: validation, answer_time: time } = detailsOf({});
    expect([validation, time]).toEqual([
      'ok: Not measured: this version was not cross-validated.',
      'ok: Not measured: no test image was answered.',
    ]);
  });
});

describe('the rules of a model', () => {
  it('are those of its policy, and of the configuration where it has none', () => {
    expect(gateRulesOf(gatePolicySchema.parse({}), gateDefaults)).toEqual(rules);
    const policy = gatePolicySchema.parse({ minRecall: 0, maxP95Ms: 50, aboveMajority: false });
    expect(gateRulesOf(policy, gateDefaults)).toEqual({ ...rules, minRecall: 0, maxP95Ms: 50, aboveMajority: false });
  });
});

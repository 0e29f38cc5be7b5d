import { retrainingPolicySchema } from '../../../../contracts/promotion/policy.js';
import type {
  DecisionInput,
  RetrainingInputs,
  RetrainingState,
  RetrainingVerdict,
} from '../../../../contracts/retraining/retraining.js';
import { decideRetraining, metricsOf } from '../../../../domain/retraining/retraining-decision.js';
import { hyperparameters, statistics } from '../../../support/measurements.js';

const idle: RetrainingState = { running: null, awaitingApproval: false, retired: false, lastAutomatic: null };

/** A good model without new data. */
const calm: RetrainingInputs = {
  policy: retrainingPolicySchema.parse({}),
  dataset: 'flowers',
  production: { version: 3, testAccuracy: 0.95, hyperparameters },
  feedback: { labelled: 100, accuracy: 0.95, interval: [0.89, 0.98] },
  data: { datasetVersion: 7, images: 100, newImages: 0, newShare: 0, statistics },
};

function decideOn(
  kind: DecisionInput['kind'],
  inputs: Partial<RetrainingInputs> = {},
  state: Partial<RetrainingState> = {},
): RetrainingVerdict {
  const trigger = kind === 'manual' ? 'manual' : 'schedule';
  return decideRetraining({ kind, trigger, inputs: { ...calm, ...inputs }, state: { ...idle, ...state } });
}

function fired({ reasons }: RetrainingVerdict): string[] {
  return reasons.flatMap(({ check, fired: isFired }) => (isFired ? [check] : []));
}

const worse = { feedback: { labelled: 100, accuracy: 0.7, interval: [0.6, 0.78] } } as const;
const grown = { data: { datasetVersion: 8, images: 100, newImages: 60, newShare: 0.2, statistics } };

describe('continuous training', () => {
  it('skips while accuracy and data are unchanged, with every value', () => {
    const verdict = decideOn('continuous_training');
    expect(verdict).toMatchObject({ decision: 'skip', skippedBecause: 'nothing_changed' });
    expect(verdict.reason).toMatch(/^Skipped: .*within the limits of the policy/);
    expect(verdict.reasons).toMatchObject([
      { check: 'minimum_accuracy', fired: false, figure: 0.95, threshold: 0.85 },
      { check: 'accuracy_drop', fired: false, figure: 0.95, threshold: 0.9 },
      { check: 'new_images', fired: false, figure: 0, threshold: 50 },
      { check: 'new_share', fired: false, figure: 0, threshold: 0.1 },
      { check: 'nothing_changed', fired: true },
    ]);
  });

  it('retrains when accuracy is significantly below the minimum', () => {
    const verdict = decideOn('continuous_training', worse);
    expect(verdict).toMatchObject({ decision: 'retrain', trigger: 'performance', skippedBecause: null });
    expect(fired(verdict)).toEqual(['minimum_accuracy', 'accuracy_drop']);
    expect(verdict.reason).toContain('70.0 % of 100 labelled predictions (95 % interval 60.0 % to 78.0 %)');
  });

  it('does not act on accuracy that may be chance', () => {
    const chance = { feedback: { labelled: 30, accuracy: 0.8, interval: [0.62, 0.9] } } as const;
    expect(fired(decideOn('continuous_training', chance))).not.toContain('minimum_accuracy');
  });

  it('retrains when accuracy fell further below test accuracy than it may, though above the minimum', () => {
    const fallen = { feedback: { labelled: 500, accuracy: 0.88, interval: [0.86, 0.91] } } as const;
    expect(fired(decideOn('continuous_training', fallen))).toEqual(['accuracy_drop']);
    const perhaps = { feedback: { labelled: 40, accuracy: 0.88, interval: [0.75, 0.96] } } as const;
    expect(fired(decideOn('continuous_training', perhaps))).toEqual(['nothing_changed']);
  });

  it('does not judge accuracy with too few labels, without labels, or without a model', () => {
    const few = { feedback: { labelled: 29, accuracy: 0.1, interval: [0.02, 0.3] } } as const;
    const verdict = decideOn('continuous_training', few);
    expect(fired(verdict)).toEqual(['nothing_changed']);
    expect(verdict.reasons[0]?.detail).toBe('29 predictions of version 3 are labelled; judging its accuracy needs 30.');
    const none = { feedback: { labelled: 0, accuracy: null, interval: null } };
    expect(fired(decideOn('continuous_training', none))).toEqual(['nothing_changed']);
    const first = decideOn('continuous_training', { ...grown, production: null });
    expect(first.reasons[0]?.detail).toMatch(/^No model is in Production/);
    expect(first).toMatchObject({ decision: 'retrain', trigger: 'new_data' });
  });

  it('retrains on enough new images, or on a large share of them', () => {
    const verdict = decideOn('continuous_training', grown);
    expect(verdict).toMatchObject({ decision: 'retrain', trigger: 'new_data' });
    expect(fired(verdict)).toEqual(['new_images', 'new_share']);
    const many = { data: { datasetVersion: 8, images: 100, newImages: 50, newShare: 0.01, statistics } };
    expect(fired(decideOn('continuous_training', many))).toEqual(['new_images']);
    const large = { data: { datasetVersion: 8, images: 100, newImages: 5, newShare: 0.1, statistics } };
    expect(fired(decideOn('continuous_training', large))).toEqual(['new_share']);
  });

  it('does not count a share of zero images as new data', () => {
    const policy = retrainingPolicySchema.parse({ newShare: 0 });
    expect(fired(decideOn('continuous_training', { policy }))).toEqual(['nothing_changed']);
  });

  it.each(['refused', 'rolled_back', 'rejected', 'expired'])(
    'does not train again on data whose model was %s',
    (outcome) => {
      const lastAutomatic = { minutesAgo: 9_999, outcome, dataset: 'flowers', datasetVersion: 8 };
      expect(decideOn('continuous_training', grown, { lastAutomatic })).toMatchObject({
        decision: 'skip',
        skippedBecause: 'nothing_changed',
      });
      const older = { ...lastAutomatic, datasetVersion: 7 };
      expect(decideOn('continuous_training', grown, { lastAutomatic: older }).decision).toBe('retrain');
      const other = { ...lastAutomatic, dataset: 'leaves' };
      expect(decideOn('continuous_training', grown, { lastAutomatic: other }).decision).toBe('retrain');
    },
  );

  it.each(['failed', 'cancelled', 'promoted'])('trains again after a run that was %s', (outcome) => {
    const lastAutomatic = { minutesAgo: 9_999, outcome, dataset: 'flowers', datasetVersion: 8 };
    expect(decideOn('continuous_training', grown, { lastAutomatic }).decision).toBe('retrain');
  });
});

describe('what holds an automatic retraining back', () => {
  const kinds = ['mlops_retraining_pipeline', 'continuous_training'] as const;

  it.each(kinds)('is a running retraining, for %s', (kind) => {
    const verdict = decideOn(kind, worse, { running: { runId: 'r1' } });
    expect(verdict).toMatchObject({ decision: 'skip', skippedBecause: 'already_running' });
    expect(verdict.reason).toContain('run r1 is in progress');
    expect(decideOn(kind, worse, { running: { runId: null } }).reason).toContain('is being started');
  });

  it.each(kinds)('is the retirement of the model, for %s', (kind) => {
    expect(decideOn(kind, worse, { retired: true }).skippedBecause).toBe('model_retired');
  });

  it.each(kinds)('is a version that waits for approval, for %s', (kind) => {
    const standing = { awaitingApproval: true, running: { runId: 'r1' } };
    expect(decideOn(kind, worse, standing).skippedBecause).toBe('awaiting_approval');
  });

  it.each(kinds)('is a lack of data, for %s', (kind) => {
    expect(decideOn(kind, { data: null }).skippedBecause).toBe('no_data');
    const tiny = { ...statistics, classes: { dandelion: 3, grass: 50 } };
    const verdict = decideOn(kind, {
      data: { datasetVersion: 1, images: 100, newImages: 53, newShare: 1, statistics: tiny },
    });
    expect(verdict.skippedBecause).toBe('no_data');
    expect(verdict.reason).toContain('dandelion has 3');
  });

  it.each(kinds)('is the cool-down, with both figures, for %s', (kind) => {
    const lastAutomatic = { minutesAgo: 12.7, outcome: 'promoted', dataset: 'flowers', datasetVersion: 7 };
    const verdict = decideOn(kind, worse, { lastAutomatic });
    expect(verdict).toMatchObject({ decision: 'skip', skippedBecause: 'cool_down' });
    expect(verdict.reasons.at(-1)).toMatchObject({ check: 'cool_down', figure: 12, threshold: 60 });
    expect(decideOn(kind, worse, { lastAutomatic: { ...lastAutomatic, minutesAgo: 60 } }).decision).toBe('retrain');
  });
});

describe('the other kinds of request', () => {
  it('retrains every week whatever the checks say, also after a refusal', () => {
    const lastAutomatic = { minutesAgo: 10_080, outcome: 'refused', dataset: 'flowers', datasetVersion: 7 };
    expect(decideOn('mlops_retraining_pipeline', {}, { lastAutomatic })).toMatchObject({
      decision: 'retrain',
      trigger: 'schedule',
      reason: 'Its schedule is due.',
    });
  });

  it('always retrains on a manual request, and says when another run is in progress', () => {
    const lastAutomatic = { minutesAgo: 1, outcome: null, dataset: 'flowers', datasetVersion: null };
    const busy = { running: { runId: 'r1' }, awaitingApproval: true, lastAutomatic };
    expect(decideOn('manual', { data: null }, busy)).toMatchObject({
      decision: 'retrain',
      trigger: 'manual',
      reason: 'Requested manually while a run of this model is in progress.',
    });
  });

  it('keeps the trigger of the request', () => {
    const input = { inputs: { ...calm, ...grown }, state: idle };
    expect(decideRetraining({ kind: 'continuous_training', trigger: 'drift', ...input }).trigger).toBe('drift');
  });

  it('stores the metrics of the decision', () => {
    expect(metricsOf({ ...calm, ...worse, ...grown })).toEqual({
      productionVersion: 3,
      testAccuracy: 0.95,
      productionAccuracy: 0.7,
      labelled: 100,
      datasetVersion: 8,
      newImages: 60,
      newShare: 0.2,
    });
  });
});

import {
  performanceChecks,
  type DecisionInput,
  type RetrainingInputs,
  type RetrainingMetrics,
  type RetrainingReason,
  type RetrainingState,
  type RetrainingVerdict,
  type SkipReason,
} from '../../contracts/retraining/retraining.js';
import { checkTrainable } from '../datasets/check-trainable.js';
import { percent } from '../percent.js';

/** Outcomes that the same data would give again, because training is deterministic. */
const outcomesOfSameData: readonly string[] = ['refused', 'rolled_back', 'rejected', 'expired'];

/**
 * Decides on a request to retrain, with a reason for each check. A manual request always retrains, or joins a running
 * retraining. The weekly schedule retrains unless something holds it back. Continuous training retrains when a check
 * fires and nothing holds it back.
 */
export function decideRetraining(input: DecisionInput): RetrainingVerdict {
  const checks = [...judgePerformance(input.inputs), ...judgeNewData(input.inputs)];
  const fired = checks.filter((check) => check.fired);
  const hold = input.kind === 'manual' ? null : holdOf(input, fired);
  if (hold) {
    const { check, detail } = hold;
    return {
      decision: 'skip',
      trigger: input.trigger,
      reason: `Skipped: ${detail}`,
      reasons: [...checks, hold],
      skippedBecause: check,
    };
  }
  return {
    decision: 'retrain',
    trigger: triggerOf(input, fired),
    reason: reasonOf(input, fired),
    reasons: checks,
    skippedBecause: null,
  };
}

/** The metrics that are stored with a decision. */
export function metricsOf({ production, feedback, data }: RetrainingInputs): RetrainingMetrics {
  return {
    productionVersion: production?.version ?? null,
    testAccuracy: production?.testAccuracy ?? null,
    productionAccuracy: feedback.accuracy,
    labelled: feedback.labelled,
    datasetVersion: data?.datasetVersion ?? null,
    newImages: data?.newImages ?? 0,
    newShare: data?.newShare ?? 0,
  };
}

function triggerOf({ kind, trigger }: DecisionInput, fired: readonly RetrainingReason[]): RetrainingVerdict['trigger'] {
  if (kind !== 'continuous_training' || trigger !== 'schedule') return trigger;
  const isWorse = fired.some(({ check }) => performanceChecks.includes(check));
  return isWorse ? 'performance' : 'new_data';
}

function reasonOf({ kind, state }: DecisionInput, fired: readonly RetrainingReason[]): string {
  const details = fired.map(({ detail }) => detail);
  if (kind === 'manual') {
    const first = state.running
      ? 'Requested manually while a run of this model is in progress.'
      : 'Requested manually.';
    return [first, ...details].join(' ');
  }
  return kind === 'mlops_retraining_pipeline' ? ['Its schedule is due.', ...details].join(' ') : details.join(' ');
}

function judgePerformance(inputs: RetrainingInputs): RetrainingReason[] {
  const { policy, production, feedback } = inputs;
  const { labelled, accuracy, interval } = feedback;
  const testAccuracy = production?.testAccuracy ?? null;
  const dropLimit = testAccuracy === null ? null : Number((testAccuracy - policy.maxAccuracyDrop).toFixed(6));
  const whyUnknown = whyNotJudged(inputs);
  if (whyUnknown !== null || accuracy === null || interval === null || testAccuracy === null || dropLimit === null) {
    const detail = whyUnknown ?? 'No prediction was labelled, so production accuracy is not known.';
    return [
      reason('minimum_accuracy', false, accuracy, policy.minAccuracy, detail),
      reason('accuracy_drop', false, accuracy, dropLimit, detail),
    ];
  }
  const [low, high] = interval;
  const measured = `Accuracy in production is ${percent(accuracy)} of ${labelled} labelled predictions (95 % interval ${percent(low)} to ${percent(high)})`;
  const isLow = high < policy.minAccuracy;
  const hasDropped = accuracy < dropLimit && high < testAccuracy;
  return [
    reason(
      'minimum_accuracy',
      isLow,
      accuracy,
      policy.minAccuracy,
      `${measured}, which is ${isLow ? '' : 'not '}significantly below the required ${percent(policy.minAccuracy)}.`,
    ),
    reason(
      'accuracy_drop',
      hasDropped,
      accuracy,
      dropLimit,
      `${measured}, which is ${hasDropped ? '' : 'not significantly '}more than ${points(policy.maxAccuracyDrop)} below its ${percent(testAccuracy)} on test images.`,
    ),
  ];
}

function whyNotJudged({ policy, production, feedback }: RetrainingInputs): string | null {
  if (!production) return 'No model is in Production, so there is no accuracy to judge.';
  if (feedback.labelled >= policy.minFeedback) return null;
  return `${feedback.labelled} predictions of version ${production.version} are labelled; judging its accuracy needs ${policy.minFeedback}.`;
}

function judgeNewData({ policy, data }: RetrainingInputs): RetrainingReason[] {
  const newImages = data?.newImages ?? 0;
  const newShare = data?.newShare ?? 0;
  const counted = `${newImages} images of the dataset are new to the model in Production`;
  const isMany = newImages >= policy.newImages;
  const isLarge = newImages > 0 && newShare >= policy.newShare;
  return [
    reason('new_images', isMany, newImages, policy.newImages, `${counted}; ${policy.newImages} start a retraining.`),
    reason(
      'new_share',
      isLarge,
      newShare,
      policy.newShare,
      `${counted}, ${percent(newShare)} of all; ${percent(policy.newShare)} start a retraining.`,
    ),
  ];
}

type Hold = RetrainingReason & { check: SkipReason };

/** The first reason against an automatic retraining; null when there is none. */
function holdOf(input: DecisionInput, fired: readonly RetrainingReason[]): Hold | null {
  const { kind, inputs, state } = input;
  return (
    holdOfRetirement(state) ??
    holdOfRunningWork(state) ??
    holdOfData(inputs) ??
    (kind === 'continuous_training' ? holdOfChange(input, fired) : null) ??
    holdOfCoolDown(input)
  );
}

function holdOfRetirement({ retired }: RetrainingState): Hold | null {
  if (!retired) return null;
  return hold('model_retired', null, null, 'the model was retired; a person brings it back by promoting a version.');
}

function holdOfRunningWork({ running, awaitingApproval }: RetrainingState): Hold | null {
  if (awaitingApproval) {
    return hold('awaiting_approval', null, null, 'a trained version waits for approval.');
  }
  if (!running) return null;
  const named =
    running.runId === null ? 'a retraining of this model is being started' : `run ${running.runId} is in progress`;
  return hold('already_running', null, null, `${named}.`);
}

function holdOfData({ data }: RetrainingInputs): Hold | null {
  if (!data) return hold('no_data', 0, null, 'the dataset has no version yet; ingest a folder or upload images.');
  const refusal = checkTrainable(data.statistics);
  return refusal === null ? null : hold('no_data', data.statistics.images, null, refusal);
}

function holdOfChange({ inputs, state }: DecisionInput, fired: readonly RetrainingReason[]): Hold | null {
  if (fired.length === 0) {
    return hold('nothing_changed', 0, 1, 'production accuracy and new images are within the limits of the policy.');
  }
  const { lastAutomatic } = state;
  const version = inputs.data?.datasetVersion ?? null;
  if (!lastAutomatic?.outcome || !outcomesOfSameData.includes(lastAutomatic.outcome)) return null;
  if (lastAutomatic.dataset !== inputs.dataset || lastAutomatic.datasetVersion !== version) return null;
  return hold(
    'nothing_changed',
    version,
    lastAutomatic.datasetVersion,
    `the model last trained on version ${version ?? 0} of the dataset was ${lastAutomatic.outcome.replaceAll('_', ' ')}, and the same data gives the same model.`,
  );
}

function holdOfCoolDown({ inputs, state }: DecisionInput): Hold | null {
  const minutesAgo = state.lastAutomatic?.minutesAgo ?? Infinity;
  const { coolDownMinutes } = inputs.policy;
  if (minutesAgo >= coolDownMinutes) return null;
  const outcome = state.lastAutomatic?.outcome ?? 'no outcome yet';
  const figure = Math.floor(minutesAgo);
  return hold(
    'cool_down',
    figure,
    coolDownMinutes,
    `the last automatic retraining began ${figure} minutes ago (${outcome.replaceAll('_', ' ')}); the cool-down is ${coolDownMinutes} minutes.`,
  );
}

function hold(check: SkipReason, figure: number | null, threshold: number | null, detail: string): Hold {
  return { check, fired: true, figure, threshold, detail };
}

function reason(
  check: RetrainingReason['check'],
  fired: boolean,
  figure: number | null,
  threshold: number | null,
  detail: string,
): RetrainingReason {
  return { check, fired, figure, threshold, detail };
}

function points(difference: number): string {
  return `${(difference * 100).toFixed(1)} points`;
}

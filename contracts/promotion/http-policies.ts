import { z } from 'zod';
import {
  approvalPolicySchema,
  guardPolicySchema,
  retentionPolicySchema,
  retrainingPolicySchema,
  servingPolicySchema,
  type ModelPolicy,
} from './policy.js';

const { mode, minGain, expiresAfterHours, onExpiry } = approvalPolicySchema.shape;
const retraining = retrainingPolicySchema.shape;
const guard = guardPolicySchema.shape;
const retention = retentionPolicySchema.shape;
const serving = servingPolicySchema.shape;

/** A model's policy in snake case; what a request leaves out takes its default. */
export const policyBodySchema = z
  .strictObject({
    approval: z
      .strictObject({ mode, min_gain: minGain, expires_after_hours: expiresAfterHours, on_expiry: onExpiry })
      .prefault({}),
    retraining: z
      .strictObject({
        min_accuracy: retraining.minAccuracy,
        max_accuracy_drop: retraining.maxAccuracyDrop,
        min_feedback: retraining.minFeedback,
        new_images: retraining.newImages,
        new_share: retraining.newShare,
        cool_down_minutes: retraining.coolDownMinutes,
      })
      .prefault({}),
    guard: z
      .strictObject({
        minutes: guard.minutes,
        min_predictions: guard.minPredictions,
        max_error_share: guard.maxErrorShare,
        max_p95_ms: guard.maxP95Ms,
        min_confidence_ratio: guard.minConfidenceRatio,
        max_class_share: guard.maxClassShare,
      })
      .prefault({}),
    retention: z.strictObject({ versions: retention.versions, prediction_days: retention.predictionDays }).prefault({}),
    serving: z
      .strictObject({
        target_risk: serving.targetRisk,
        keep_inputs: serving.keepInputs,
        input_share: serving.inputShare,
        input_days: serving.inputDays,
      })
      .prefault({}),
  })
  .meta({ id: 'ModelPolicy' });
export type PolicyBody = z.output<typeof policyBodySchema>;

export function policyOf({ approval, retraining, guard, retention, serving }: PolicyBody): ModelPolicy {
  return {
    approval: {
      mode: approval.mode,
      minGain: approval.min_gain,
      expiresAfterHours: approval.expires_after_hours,
      onExpiry: approval.on_expiry,
    },
    retraining: {
      minAccuracy: retraining.min_accuracy,
      maxAccuracyDrop: retraining.max_accuracy_drop,
      minFeedback: retraining.min_feedback,
      newImages: retraining.new_images,
      newShare: retraining.new_share,
      coolDownMinutes: retraining.cool_down_minutes,
    },
    guard: {
      minutes: guard.minutes,
      minPredictions: guard.min_predictions,
      maxErrorShare: guard.max_error_share,
      maxP95Ms: guard.max_p95_ms,
      minConfidenceRatio: guard.min_confidence_ratio,
      maxClassShare: guard.max_class_share,
    },
    retention: { versions: retention.versions, predictionDays: retention.prediction_days },
    serving: {
      targetRisk: serving.target_risk,
      keepInputs: serving.keep_inputs,
      inputShare: serving.input_share,
      inputDays: serving.input_days,
    },
  };
}

export function policyView({ approval, retraining, guard, retention, serving }: ModelPolicy): PolicyBody {
  return {
    approval: {
      mode: approval.mode,
      min_gain: approval.minGain,
      expires_after_hours: approval.expiresAfterHours,
      on_expiry: approval.onExpiry,
    },
    retraining: {
      min_accuracy: retraining.minAccuracy,
      max_accuracy_drop: retraining.maxAccuracyDrop,
      min_feedback: retraining.minFeedback,
      new_images: retraining.newImages,
      new_share: retraining.newShare,
      cool_down_minutes: retraining.coolDownMinutes,
    },
    guard: {
      minutes: guard.minutes,
      min_predictions: guard.minPredictions,
      max_error_share: guard.maxErrorShare,
      max_p95_ms: guard.maxP95Ms,
      min_confidence_ratio: guard.minConfidenceRatio,
      max_class_share: guard.maxClassShare,
    },
    retention: { versions: retention.versions, prediction_days: retention.predictionDays },
    serving: {
      target_risk: serving.targetRisk,
      keep_inputs: serving.keepInputs,
      input_share: serving.inputShare,
      input_days: serving.inputDays,
    },
  };
}

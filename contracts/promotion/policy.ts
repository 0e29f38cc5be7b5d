import { z } from 'zod';

const share = z.number().min(0).max(1);

export const approvalModes = ['never', 'always', 'when_needed'] as const;

/** When a promotion needs approval. */
export const approvalPolicySchema = z.strictObject({
  mode: z.enum(approvalModes).default('when_needed').describe('when_needed: gain below min_gain, or other classes'),
  minGain: share.default(0).describe('gain in test accuracy over Production below which approval is needed'),
  expiresAfterHours: z.number().positive().max(8760).default(72),
  onExpiry: z.enum(['reject', 'promote']).default('reject'),
});
export type ApprovalPolicy = z.infer<typeof approvalPolicySchema>;

/** What the promotion gate requires of a version; null takes the value of the configuration. */
export const gatePolicySchema = z.strictObject({
  minAccuracy: share.nullable().default(null).describe('test accuracy; null: PROMOTION_MIN_ACCURACY'),
  minRecall: share
    .nullable()
    .default(null)
    .describe('recall of every class: refused if the whole 95 % interval is below; null: PROMOTION_MIN_RECALL'),
  aboveMajority: z
    .boolean()
    .default(true)
    .describe('test accuracy must be above the share of the most frequent class, which a constant answer reaches'),
  minCrossValidatedAccuracy: share
    .nullable()
    .default(null)
    .describe('mean accuracy of the folds: refused if the 95 % interval is below; null: PROMOTION_MIN_CV_ACCURACY'),
  maxP95Ms: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe('95th percentile of the answer time that validation measures, in ms; null: PROMOTION_MAX_P95_MS'),
});
export type GatePolicy = z.infer<typeof gatePolicySchema>;

/** Conditions of automatic retrainings. */
export const retrainingPolicySchema = z.strictObject({
  minAccuracy: share.default(0.85).describe('minimum production accuracy, from feedback'),
  maxAccuracyDrop: share.default(0.05).describe('how far production accuracy may fall below test accuracy'),
  minFeedback: z.number().int().min(1).default(30).describe('minimum number of labelled predictions for a check'),
  newImages: z.number().int().min(1).default(50).describe('number of new images that starts a retraining'),
  newShare: share.default(0.1).describe('share of new images in the dataset that starts a retraining'),
  coolDownMinutes: z
    .number()
    .min(0)
    .max(525_600)
    .default(60)
    .describe('minimum time between two automatic retrainings'),
});
export type RetrainingPolicy = z.infer<typeof retrainingPolicySchema>;

/** Limits of the promotion guard; a breach rolls the promotion back. */
export const guardPolicySchema = z.strictObject({
  minutes: z.number().min(0).max(1440).default(5).describe('how long a new version is guarded; 0 turns the guard off'),
  minPredictions: z.number().int().min(1).default(20).describe('predictions before the guard judges'),
  maxErrorShare: share.default(0.05).describe('share of predictions with server errors'),
  maxP95Ms: z.number().positive().default(2000).describe('95th percentile of decoding plus inference, in ms'),
  minConfidenceRatio: share.default(0.8).describe('mean confidence relative to that on the test images'),
  maxClassShare: share
    .default(0.98)
    .describe('share of one class that counts as a collapse, unless the previous version had it too'),
});
export type GuardPolicy = z.infer<typeof guardPolicySchema>;

/** Retention of a model and its predictions. Referenced data always stays. */
export const retentionPolicySchema = z.strictObject({
  versions: z.number().int().min(10).default(10).describe('number of newest versions to keep'),
  predictionDays: z.number().int().min(1).max(3650).default(90),
});

export const inputPolicies = ['none', 'sample', 'all'] as const;

/** Abstention and input capture of a model. */
export const servingPolicySchema = z.strictObject({
  targetRisk: z.number().gt(0).max(1).default(0.05).describe('accepted share of wrong answers; 1 never abstains'),
  keepInputs: z.enum(inputPolicies).default('none').describe('which images of predictions to capture'),
  inputShare: share.default(0.1).describe('captured share under `sample`'),
  inputDays: z.number().int().min(1).max(3650).default(30).describe('retention of captured images in days'),
});
export type ServingPolicy = z.infer<typeof servingPolicySchema>;

/** The policy of a model; every part has defaults. */
export const modelPolicySchema = z.strictObject({
  approval: approvalPolicySchema.prefault({}),
  promotion: gatePolicySchema.prefault({}),
  retraining: retrainingPolicySchema.prefault({}),
  guard: guardPolicySchema.prefault({}),
  retention: retentionPolicySchema.prefault({}),
  serving: servingPolicySchema.prefault({}),
});
export type ModelPolicy = z.infer<typeof modelPolicySchema>;

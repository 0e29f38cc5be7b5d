import { z } from 'zod';

const share = z.number().min(0).max(1);

export const approvalModes = ['never', 'always', 'when_needed'] as const;

/** When a promotion waits for a person. */
export const approvalPolicySchema = z.strictObject({
  mode: z.enum(approvalModes).default('when_needed').describe('when_needed: a small gain, or other classes'),
  minGain: share.default(0).describe('gain in test accuracy over Production below which a person is asked'),
  expiresAfterHours: z.number().positive().max(8760).default(72),
  onExpiry: z.enum(['reject', 'promote']).default('reject'),
});
export type ApprovalPolicy = z.infer<typeof approvalPolicySchema>;

/** What starts a retraining by itself, and what holds it back. */
export const retrainingPolicySchema = z.strictObject({
  minAccuracy: share.default(0.85).describe('production accuracy, by feedback, that a model must keep'),
  maxAccuracyDrop: share.default(0.05).describe('how far production accuracy may fall below test accuracy'),
  minFeedback: z.number().int().min(1).default(30).describe('labelled predictions that make a judgement'),
  newImages: z.number().int().min(1).default(50).describe('images the model has not seen that start a retraining'),
  newShare: share.default(0.1).describe('their share of the dataset that starts one as well'),
  coolDownMinutes: z.number().min(0).max(525_600).default(60).describe('time between two automatic retrainings'),
});
export type RetrainingPolicy = z.infer<typeof retrainingPolicySchema>;

/** What is watched on replicas after a promotion; a breach takes the promotion back. */
export const guardPolicySchema = z.strictObject({
  minutes: z.number().min(0).max(1440).default(5).describe('how long a new version is watched; 0 turns the guard off'),
  minPredictions: z.number().int().min(1).default(20).describe('predictions before the guard judges'),
  maxErrorShare: share.default(0.05).describe('predictions that failed inside, of all'),
  maxP95Ms: z.number().positive().default(2000).describe('95th percentile of the time of a prediction'),
  minConfidenceRatio: share.default(0.8).describe('mean confidence, of what the model had on its test images'),
  maxClassShare: share.default(0.98).describe('share of one class that is a collapse, if it was no such share before'),
});
export type GuardPolicy = z.infer<typeof guardPolicySchema>;

/** What is kept of a model and its predictions. What is referenced is kept in any case. */
export const retentionPolicySchema = z.strictObject({
  versions: z.number().int().min(10).default(10).describe('newest versions that are kept'),
  predictionDays: z.number().int().min(1).max(3650).default(90),
});

export const inputPolicies = ['none', 'sample', 'all'] as const;

/** How a model answers, and what is kept of what it was asked. */
export const servingPolicySchema = z.strictObject({
  targetRisk: z
    .number()
    .gt(0)
    .max(1)
    .default(0.05)
    .describe('share of wrong answers that is accepted; 1 never abstains'),
  keepInputs: z.enum(inputPolicies).default('none').describe('pictures of predictions that are kept'),
  inputShare: share.default(0.1).describe('their share under `sample`'),
  inputDays: z.number().int().min(1).max(3650).default(30).describe('how long they are kept'),
});
export type ServingPolicy = z.infer<typeof servingPolicySchema>;

/** How a model is looked after; one per model, every part has defaults. */
export const modelPolicySchema = z.strictObject({
  approval: approvalPolicySchema.prefault({}),
  retraining: retrainingPolicySchema.prefault({}),
  guard: guardPolicySchema.prefault({}),
  retention: retentionPolicySchema.prefault({}),
  serving: servingPolicySchema.prefault({}),
});
export type ModelPolicy = z.infer<typeof modelPolicySchema>;

import { z } from 'zod';

export const architectures = ['efficientnet-lite0', 'cnn'] as const;
export const architectureSchema = z.enum(architectures);
export type Architecture = z.infer<typeof architectureSchema>;

/** Side of the square input image of every architecture, in pixels. */
export const inputSize = 224;

/** Everything that determines a training, together with the dataset version. */
export const hyperparametersSchema = z.object({
  architecture: architectureSchema.default('efficientnet-lite0'),
  epochs: z.number().int().min(1).max(1000).default(40),
  batchSize: z.number().int().min(1).max(512).default(32),
  learningRate: z.number().positive().max(1).default(0.003),
  weightDecay: z.number().min(0).max(1).default(0.0005).describe('L2 penalty on kernels'),
  earlyStoppingPatience: z.number().int().min(1).default(6).describe('epochs without a better validation loss'),
  classWeights: z.boolean().default(true),
  seed: z.number().int().min(0).max(0xffffffff).default(42),
  filters: z
    .tuple([z.number().int().min(1), z.number().int().min(1), z.number().int().min(1)])
    .default([16, 32, 64])
    .describe('filters of the three convolution blocks of `cnn`'),
  fineTuneBlocks: z.number().int().min(0).max(16).default(0).describe('last blocks of the backbone to train as well'),
});
export type Hyperparameters = z.infer<typeof hyperparametersSchema>;

export const epochMetricsSchema = z.object({
  epoch: z.number().int().min(0),
  trainLoss: z.number(),
  trainAccuracy: z.number(),
  validationLoss: z.number(),
  validationAccuracy: z.number(),
  /** Macro averages over the classes; runs of earlier releases lack them. */
  validationPrecision: z.number().optional(),
  validationRecall: z.number().optional(),
  validationF1: z.number().optional(),
  durationMs: z.number(),
});
export type EpochMetrics = z.infer<typeof epochMetricsSchema>;

export const intervalSchema = z.tuple([z.number(), z.number()]).describe('95 % bootstrap interval');
export type Interval = z.infer<typeof intervalSchema>;

export const classMetricsSchema = z.object({
  label: z.string(),
  precision: z.number(),
  recall: z.number(),
  f1: z.number(),
  support: z.number().int(),
});

/** Evaluation of a model on one split of a dataset version. Precision, recall, F1 and ROC-AUC are macro averages over classes. */
export const evaluationSchema = z.object({
  images: z.number().int(),
  loss: z.number(),
  accuracy: z.number(),
  precision: z.number(),
  recall: z.number(),
  f1: z.number(),
  rocAuc: z.number(),
  /** Expected calibration error over 15 equal-width bins. */
  calibrationError: z.number(),
  confusionMatrix: z.array(z.array(z.number().int())).describe('rows are true classes, columns predicted ones'),
  perClass: z.array(classMetricsSchema),
  intervals: z.object({
    loss: intervalSchema,
    accuracy: intervalSchema,
    precision: intervalSchema,
    recall: intervalSchema,
    f1: intervalSchema,
    rocAuc: intervalSchema,
    calibrationError: intervalSchema,
  }),
});
export type Evaluation = z.infer<typeof evaluationSchema>;

export const crossValidationSchema = z.object({
  folds: z.number().int(),
  accuracies: z.array(z.number()),
  meanAccuracy: z.number(),
  standardDeviation: z.number(),
});
export type CrossValidation = z.infer<typeof crossValidationSchema>;

/** `metrics.json` of a bundle. */
export const modelMetricsSchema = z.object({
  temperature: z.number().positive(),
  validation: evaluationSchema,
  test: evaluationSchema,
  uncalibratedTestCalibrationError: z.number(),
  crossValidation: crossValidationSchema.nullable(),
  epochs: z.array(epochMetricsSchema),
  bestEpoch: z.number().int(),
});
export type ModelMetrics = z.infer<typeof modelMetricsSchema>;

import { z } from 'zod';
import { manifestSchema, type Manifest } from '../contracts/registry/bundle.js';
import { exampleSchema } from '../contracts/datasets/datasets.js';
import { importFormats, importLabelsSchema, importOutputs, scalingSchema } from '../contracts/registry/import.js';
import {
  epochMetricsSchema,
  hyperparametersSchema,
  modelMetricsSchema,
  type ModelMetrics,
} from '../contracts/training/training.js';
import { trialProgressSchema, type TrialProgress } from '../contracts/experiments/tuning.js';

/** A file that holds the bytes of one image. */
export const imageFileSchema = z.object({ sha256: z.string(), path: z.string() });
export type ImageFile = z.infer<typeof imageFileSchema>;

const trainerInputs = {
  hyperparameters: hyperparametersSchema,
  labels: z.array(z.string()).min(2),
  examples: z.array(exampleSchema),
  /** Parquet files of embeddings; needed for a classifier on a frozen backbone. */
  featurePaths: z.array(z.string()),
  /** Image files; `cnn` and fine-tuning need all examples, packaging some of the test split. */
  images: z.array(imageFileSchema),
};

export const embedJobSchema = z.object({
  kind: z.literal('embed'),
  images: z.array(imageFileSchema),
  outputPath: z.string(),
});
export type EmbedJob = z.infer<typeof embedJobSchema>;

export const trainJobSchema = z.object({
  kind: z.literal('train'),
  ...trainerInputs,
  /** Checkpoint to resume from; null starts from scratch. */
  checkpointPath: z.string().nullable(),
  outputFolder: z.string(),
  /** Images by which the frozen backbone is quantized meanwhile, for the packaging that follows. */
  quantizeAhead: z.object({ images: z.array(imageFileSchema), cacheFolder: z.string() }).optional(),
});
export type TrainJob = z.infer<typeof trainJobSchema>;
/** What determines a training, wherever it is resumed from. */
export type TrainableJob = Omit<TrainJob, 'kind' | 'checkpointPath'>;

export const trialJobSchema = z.object({
  kind: z.literal('trial'),
  ...trainerInputs,
  /** Total epochs of the trial after this job. */
  pauseAfter: z.number().int().min(1),
  /** Holds the trial's state between its jobs; when it is empty, the trial is trained from the start. */
  outputFolder: z.string(),
});
export type TrialJob = z.infer<typeof trialJobSchema>;

export const packageJobSchema = z.object({
  kind: z.literal('package'),
  ...trainerInputs,
  modelName: z.string(),
  runId: z.string(),
  /** The checkpoint of the last epoch; it holds the best weights. */
  checkpointPath: z.string(),
  epochs: z.array(epochMetricsSchema),
  dataset: z.string(),
  datasetVersion: z.number().int(),
  datasetDigest: z.string(),
  codeRevision: z.string(),
  /** For what later packagings need again. */
  cacheFolder: z.string(),
  outputFolder: z.string(),
});
export type PackageJob = z.infer<typeof packageJobSchema>;

export const importJobSchema = z.object({
  kind: z.literal('import'),
  format: z.enum(importFormats),
  /** Uploaded files, with the client's names and paths of ours. */
  files: z.array(z.object({ name: z.string(), path: z.string() })),
  /** In the order of the model's outputs. */
  labels: importLabelsSchema,
  scaling: scalingSchema.nullable(),
  output: z.enum(importOutputs),
  /** Photographs to try the model on. */
  images: z.array(imageFileSchema),
  /** Path for the graph that is served. */
  outputPath: z.string(),
  /** The process is killed when it exceeds them. */
  limits: z.object({ memoryBytes: z.number().positive(), timeMs: z.number().positive() }),
});
export type ImportJob = z.infer<typeof importJobSchema>;

export const importedModelSchema = z.object({
  labels: importLabelsSchema.describe('in the order of the probabilities: sorted, as those of models trained here'),
  sha256: z.string(),
  sizeBytes: z.number().int(),
  parityMaxAbsoluteError: z.number().nullable().describe('against TF.js; null when the upload was ONNX itself'),
  notes: z.array(z.string()),
});
export type ImportedModel = z.infer<typeof importedModelSchema>;

/** Jobs of a trainer process: files in, files and numbers out. */
export const modelJobSchema = z.discriminatedUnion('kind', [
  embedJobSchema,
  trainJobSchema,
  trialJobSchema,
  packageJobSchema,
  importJobSchema,
]);
export type ModelJob = z.infer<typeof modelJobSchema>;

export interface ModelJobResults {
  embed: { images: number; dimensions: number };
  train: { bestEpoch: number; epochs: number; weightsSha256: string; checkpointPath: string };
  trial: TrialProgress;
  package: { manifest: Manifest; metrics: ModelMetrics };
  import: ImportedModel;
}

const resultSchemas: { [Kind in ModelJob['kind']]: z.ZodType<ModelJobResults[Kind]> } = {
  embed: z.object({ images: z.number().int(), dimensions: z.number().int() }),
  train: z.object({
    bestEpoch: z.number().int(),
    epochs: z.number().int(),
    weightsSha256: z.string(),
    checkpointPath: z.string(),
  }),
  trial: trialProgressSchema,
  package: z.object({ manifest: manifestSchema, metrics: modelMetricsSchema }),
  import: importedModelSchema,
};

/** Validates the result of a job of that kind. */
export function parseJobResult<Kind extends ModelJob['kind']>(kind: Kind, result: unknown): ModelJobResults[Kind] {
  return resultSchemas[kind].parse(result);
}

export const jobProgressSchema = z.object({
  type: z.literal('progress'),
  done: z.number().int(),
  total: z.number().int(),
  unit: z.string(),
});
export type JobProgress = z.infer<typeof jobProgressSchema>;

/** An epoch has ended and its checkpoint is complete. The trainer continues when it receives `recorded`. */
export const epochEventSchema = z.object({
  type: z.literal('epoch'),
  metrics: epochMetricsSchema,
  checkpointPath: z.string(),
  isLast: z.boolean(),
});
export type EpochEvent = z.infer<typeof epochEventSchema>;

/** Messages from a trainer process. */
export const trainerMessageSchema = z.discriminatedUnion('type', [
  jobProgressSchema,
  epochEventSchema,
  z.object({ type: z.literal('done'), result: z.unknown() }),
  z.object({ type: z.literal('failed'), code: z.string(), message: z.string() }),
]);
export type TrainerMessage = z.infer<typeof trainerMessageSchema>;

/**
 * Messages to a trainer process: `prepare` before a training that is about to come, a job, `recorded` after each epoch that
 * was stored, then the next job.
 */
export const trainerOrderSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('prepare') }),
  z.object({ type: z.literal('job'), job: modelJobSchema }),
  z.object({ type: z.literal('recorded'), epoch: z.number().int() }),
]);
export type TrainerOrder = z.infer<typeof trainerOrderSchema>;

/** Progress callbacks of a job. */
export interface JobEvents {
  onProgress(progress: JobProgress): void;
  /** Awaited before the next epoch begins. */
  onEpoch(event: EpochEvent): Promise<void>;
}

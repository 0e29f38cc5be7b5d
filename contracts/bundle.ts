import { z } from 'zod';
import { versionArchitectures } from './registry.js';
import { hyperparametersSchema } from './training.js';

/** Files of a model bundle. Every one of them is listed in `manifest.json` except the manifest itself. */
export const bundleFiles = {
  manifest: 'manifest.json',
  onnx: 'model.onnx',
  labels: 'labels.json',
  preprocessing: 'preprocessing.json',
  metrics: 'metrics.json',
  driftReference: 'drift-reference.json',
  probe: 'probe.json',
  modelCard: 'model-card.md',
  tfjsModel: 'tfjs/model.json',
  tfjsWeights: 'tfjs/weights.bin',
  curves: 'curves.svg',
  confusionMatrix: 'confusion-matrix.svg',
} as const;

/** Names of the ONNX graph's ends. `image` is uint8 [N,224,224,3] RGB; scaling and layout change are inside the graph. */
export const onnxNames = { image: 'image', probabilities: 'probabilities', features: 'features' } as const;

export const labelsSchema = z.array(z.string()).min(2);

/** One number for all channels, or one each for red, green and blue. */
const channelsSchema = z.union([z.number(), z.tuple([z.number(), z.number(), z.number()])]);

export const preprocessingSchema = z.object({
  width: z.number().int(),
  height: z.number().int(),
  colour: z.literal('RGB'),
  layout: z.literal('NHWC'),
  resize: z.literal('fill'),
  mean: channelsSchema,
  std: channelsSchema,
});
export type Preprocessing = z.infer<typeof preprocessingSchema>;

const bundleEntrySchema = z.object({
  path: z
    .string()
    .regex(/^[a-z0-9][a-z0-9./-]*$/)
    .refine((path) => !path.includes('..')),
  sizeBytes: z.number().int().nonnegative(),
  sha256: z.string().length(64),
});

export const manifestSchema = z.object({
  format: z.literal('perennial-bundle/1'),
  modelName: z.string(),
  runId: z.string(),
  architecture: z.enum(versionArchitectures),
  hyperparameters: hyperparametersSchema.nullable().describe('null for a model from elsewhere'),
  labels: labelsSchema,
  dataset: z.string(),
  datasetVersion: z.number().int(),
  datasetDigest: z.string(),
  weightsSha256: z.string().length(64),
  codeRevision: z.string(),
  parityMaxAbsoluteError: z
    .number()
    .nullable()
    .describe('largest difference of a probability between TF.js and ONNX Runtime; null when ONNX is the source'),
  files: z.array(bundleEntrySchema),
});
export type Manifest = z.infer<typeof manifestSchema>;

export const driftReferenceSchema = z.object({
  images: z.number().int(),
  classShares: z.record(z.string(), z.number()),
  featureMean: z.array(z.number()),
  featureStandardDeviation: z.array(z.number()),
});

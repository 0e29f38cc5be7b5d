import { z } from 'zod';
import { versionArchitectures } from './registry.js';
import { hyperparametersSchema } from '../training/training.js';

/** Files of a model bundle. Every one of them is listed in `manifest.json` except the manifest itself. */
export const bundleFiles = {
  manifest: 'manifest.json',
  onnx: 'model.onnx',
  /** The same network in 8 bits; there only when it passed parity and accuracy. */
  onnxInt8: 'model-int8.onnx',
  quantization: 'quantization.json',
  calibration: 'calibration.json',
  reliability: 'reliability.svg',
  references: 'references.json',
  /** Rows of `references.json`: unit vectors, little-endian float32, one after the other. */
  referenceFeatures: 'references.bin',
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

/**
 * Names of the ONNX graph's ends. `image` is uint8 [N,224,224,3] RGB; scaling and layout change are inside the graph.
 * `features` is float [N,D]; `class_activations` is float [N,classes,rows,columns], whose mean over all places plus the
 * classifier's bias is the logit of a class. Models from elsewhere, and bundles of earlier releases, lack it.
 */
export const onnxNames = {
  image: 'image',
  probabilities: 'probabilities',
  features: 'features',
  classActivations: 'class_activations',
} as const;

/** Forms of a version's network that can be served. */
export const variants = ['fp32', 'int8'] as const;
export type Variant = (typeof variants)[number];

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

const share = z.number().min(0).max(1);

/** `quantization.json`: how the 8-bit network was made, and how it does beside the one it was made from. */
export const quantizationSchema = z.object({
  rangeImages: z.number().int().describe('training images that the ranges of activations were taken from'),
  images: z.number().int().describe('held-out images both networks were asked about'),
  fp32Accuracy: share,
  int8Accuracy: share,
  agreement: share.describe('share of the images on which both name the same class'),
  meanAbsoluteDifference: z.number().describe('of probabilities'),
  maxAbsoluteDifference: z.number().describe('of a probability'),
  sizeBytes: z.number().int(),
  passed: z.boolean(),
  reasons: z.array(z.string()).describe('a sentence with figure and threshold for each check'),
});
export type Quantization = z.infer<typeof quantizationSchema>;

/** One bin of a reliability diagram: confidences in (from, to], and how many of those answers were right. */
export const reliabilityBinSchema = z.object({
  from: share,
  to: share,
  images: z.number().int(),
  meanConfidence: share.nullable(),
  accuracy: share.nullable(),
});

export const reliabilitySchema = z.object({
  images: z.number().int(),
  calibrationError: share.describe('expected calibration error over the bins'),
  bins: z.array(reliabilityBinSchema).describe('15 of equal width; of an empty one nothing is known'),
});
export type Reliability = z.infer<typeof reliabilitySchema>;

/** Answers with a confidence of at least `threshold`: how many there were, and how many of them were wrong. */
export const riskPointSchema = z.object({
  threshold: share,
  accepted: z.number().int(),
  wrong: z.number().int(),
});
export type RiskPoint = z.infer<typeof riskPointSchema>;

/** `calibration.json`: what the confidence of a version means. */
export const calibrationSchema = z.object({
  temperature: z.number().positive(),
  validation: reliabilitySchema,
  test: reliabilitySchema,
  uncalibratedTest: reliabilitySchema,
  riskImages: z.number().int().describe('held-out images the curve was taken from'),
  riskCurve: z.array(riskPointSchema).describe('by ascending threshold'),
});
export type Calibration = z.infer<typeof calibrationSchema>;

/** `references.json`: training images whose features tell what the version knows; row i is vector i of `references.bin`. */
export const referencesSchema = z.object({
  dimensions: z.number().int().positive(),
  /** The first so many rows cover the rest; the distance of a prediction is to the nearest of them. */
  covering: z.number().int().positive(),
  images: z.array(z.object({ sha256: z.string(), label: z.string() })),
  /** Distance above which a picture is unlike anything trained on, for each form of the network. */
  unfamiliarAbove: z.object({ fp32: z.number(), int8: z.number().nullable() }),
  heldOutShare: share.describe('share of held-out images that lie below that distance, by its choice'),
});
export type References = z.infer<typeof referencesSchema>;

import { z } from 'zod';
import { labelNumbers } from '../datasets/by-label.js';
import { versionArchitectures } from './registry.js';
import { hyperparametersSchema } from '../training/training.js';

/** Files of a model bundle. Every one of them is listed in `manifest.json` except the manifest itself. */
export const bundleFiles = {
  manifest: 'manifest.json',
  onnx: 'model.onnx',
  /** The int8 variant; present only if it passed parity and accuracy checks. */
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
 * Names of the ONNX graph's inputs and outputs. `image` is uint8 [N,224,224,3] RGB; scaling and layout change are inside the graph.
 * `features` is float [N,D]; `class_activations` is float [N,classes,rows,columns], whose mean over all places plus the
 * classifier's bias is the logit of a class. Models from elsewhere, and bundles of earlier releases, lack it.
 */
export const onnxNames = {
  image: 'image',
  probabilities: 'probabilities',
  features: 'features',
  classActivations: 'class_activations',
} as const;

/** Precision variants of a network that can be served. */
export const variants = ['fp32', 'int8'] as const;
export type Variant = (typeof variants)[number];

export const labelsSchema = z.array(z.string()).min(2);

/** One number for all channels, or one each for red, green and blue. */
const channelsSchema = z.union([z.number(), z.tuple([z.number(), z.number(), z.number()])]);

/**
 * How an image file becomes 224×224 pixels. 1: the decoder's own resampling; bundles without a version. 2: a triangle
 * filter that does not depend on format and orientation. 3: the same, of pixels by faster decoders; every bundle is served
 * so, and one of an earlier version is measured again.
 */
export const preprocessingVersions = [1, 2, 3] as const;
export type PreprocessingVersion = (typeof preprocessingVersions)[number];
export const currentPreprocessing = 3 satisfies PreprocessingVersion;

export const preprocessingSchema = z.object({
  version: z.literal(preprocessingVersions).default(1),
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

/** The JSON files of a bundle spell names in camelCase in the first format, and in snake_case in the second. */
const bundleFormats = ['perennial-bundle/1', 'perennial-bundle/2'] as const;
export const currentBundleFormat = 'perennial-bundle/2' satisfies (typeof bundleFormats)[number];

export const manifestSchema = z.object({
  format: z.enum(bundleFormats),
  modelName: z.string(),
  runId: z.string(),
  architecture: z.enum(versionArchitectures),
  hyperparameters: hyperparametersSchema.nullable().describe('null for an imported model'),
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
  classShares: labelNumbers(),
  featureMean: z.array(z.number()),
  featureStandardDeviation: z.array(z.number()),
});

const share = z.number().min(0).max(1);

/** `quantization.json`: how the int8 variant was made, and its comparison with fp32. */
export const quantizationSchema = z.object({
  rangeImages: z.number().int().describe('training images used to calibrate the activation ranges'),
  images: z.number().int().describe('held-out images that both variants predicted'),
  fp32Accuracy: share,
  int8Accuracy: share,
  agreement: share.describe('share of images with the same predicted class'),
  meanAbsoluteDifference: z.number().describe('of probabilities'),
  maxAbsoluteDifference: z.number().describe('of a probability'),
  sizeBytes: z.number().int(),
  passed: z.boolean(),
  reasons: z.array(z.string()).describe('one sentence with value and threshold per check'),
});
export type Quantization = z.infer<typeof quantizationSchema>;

/** A bin of a reliability diagram: confidences in (from, to], and their accuracy. */
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
  bins: z.array(reliabilityBinSchema).describe('15 of equal width; values of an empty bin are null'),
});
export type Reliability = z.infer<typeof reliabilitySchema>;

/** Answers with a confidence of at least `threshold`: coverage and errors. */
export const riskPointSchema = z.object({
  threshold: share,
  accepted: z.number().int(),
  wrong: z.number().int(),
});
export type RiskPoint = z.infer<typeof riskPointSchema>;

/** `calibration.json`: calibration of a version. */
export const calibrationSchema = z.object({
  temperature: z.number().positive(),
  validation: reliabilitySchema,
  test: reliabilitySchema,
  uncalibratedTest: reliabilitySchema,
  riskImages: z.number().int().describe('held-out images of the curve'),
  riskCurve: z.array(riskPointSchema).describe('by ascending threshold'),
});
export type Calibration = z.infer<typeof calibrationSchema>;

/** What features go through before they are scaled to unit length and compared. */
export const featureTransforms = ['none', 'square_root'] as const;
export type FeatureTransform = (typeof featureTransforms)[number];

/** `references.json`: training images as references for out-of-distribution detection; row i is vector i of `references.bin`. */
export const referencesSchema = z.object({
  dimensions: z.number().int().positive(),
  /** Size of the coreset at the start; distances are to its nearest row. */
  covering: z.number().int().positive(),
  images: z.array(z.object({ sha256: z.string(), label: z.string() })),
  /** Out-of-distribution threshold on the distance, per precision variant. */
  unfamiliarAbove: z.object({ fp32: z.number(), int8: z.number().nullable() }),
  heldOutShare: share.describe('share of held-out images below the threshold'),
  /** Missing in bundles of earlier releases, whose features are compared as they are. */
  transform: z.enum(featureTransforms).default('none'),
});
export type References = z.infer<typeof referencesSchema>;

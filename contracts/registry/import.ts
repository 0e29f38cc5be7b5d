import { z } from 'zod';
import { auditChannels } from '../audit/audit.js';
import { labelSchema, nameSchema } from '../datasets/datasets.js';
import { descriptionSchema, modelNameSchema, semanticVersionSchema, tagsSchema } from './registry.js';
import { evaluationSchema } from '../training/training.js';

/** Largest upload of a model, all its files together. */
export const maxImportBytes = 200_000_000;
export const maxImportFiles = 100;
/** A larger model is accepted, with a note in the model card. */
export const largeModelBytes = 15_000_000;

export const importFormats = ['onnx', 'tfjs'] as const;

const perChannel = z.tuple([z.number(), z.number(), z.number()]);
const notZero = z.number().refine((value) => value !== 0, 'std must not be 0: pixels are divided by it');

/** Pixels of 0–255 become (pixel - mean) / std before the network; one number, or one each for R, G and B. */
export const scalingSchema = z.strictObject({
  mean: z.union([z.number(), perChannel]),
  std: z.union([notZero, z.tuple([notZero, notZero, notZero])]),
});

export const importOutputs = ['probabilities', 'logits'] as const;

export const importLabelsSchema = z
  .array(labelSchema)
  .min(
    2,
    'two labels or more are needed. For a model with a single sigmoid output send both classes: the output is the probability of the second',
  )
  .max(10_000)
  .refine((labels) => new Set(labels).size === labels.length, 'a label is listed twice');

/** Description of an uploaded model. */
export const importFormSchema = z.object({
  modelName: modelNameSchema,
  dataset: nameSchema,
  labels: importLabelsSchema,
  scaling: scalingSchema.nullable(),
  output: z.enum(importOutputs),
  description: descriptionSchema,
  tags: tagsSchema,
  licence: z.string().min(1).max(200).nullable(),
  semanticVersion: semanticVersionSchema.nullable(),
  /** The version without a file that gets this one; null makes the next version. */
  fills: z.number().int().nullable().default(null),
});
export type ImportForm = z.infer<typeof importFormSchema>;

/** The registration request, stored beside the files because it is too large for a message; deleted after the import. */
export const importOrderSchema = importFormSchema.extend({
  format: z.enum(importFormats),
  files: z.array(
    z.object({
      name: z.string().describe('file name given by the client; never a path on this machine'),
      key: z.string(),
      sizeBytes: z.number().int(),
      sha256: z.string().length(64),
    }),
  ),
  by: z.object({
    name: z.string(),
    via: z.enum(auditChannels),
    from: z.string(),
    requestId: z.string().nullable(),
  }),
});
export type ImportOrder = z.infer<typeof importOrderSchema>;

export interface ImportInput {
  modelName: string;
  dataset: string;
  uploadId: string;
  /** Digest of the files and of everything that affects the import: the same upload makes one version. */
  contentId: string;
  format: (typeof importFormats)[number];
  /** The version without a file that gets this one. */
  fills?: number;
  trigger: 'manual';
  requestId: string;
}

export const importResultSchema = z.object({
  modelName: z.string(),
  version: z.number().int(),
  /** False if the same upload was registered before. */
  isNewVersion: z.boolean(),
  runId: z.string(),
  dataset: z.string(),
  datasetVersion: z.number().int(),
  test: evaluationSchema,
  notes: z.array(z.string()).describe('adaptations and remarks'),
});
export type ImportResult = z.infer<typeof importResultSchema>;

import { z } from 'zod';
import { architectureSchema, evaluationSchema } from './training.js';

export const stages = ['None', 'Staging', 'Production', 'Archived'] as const;
export const stageSchema = z.enum(stages);
export type Stage = z.infer<typeof stageSchema>;

export const gateChecks = [
  'minimum_accuracy',
  'not_worse_than_production',
  'something_changed',
  'same_classes',
  'smoke_test',
  'export_parity',
] as const;

export const gateReasonSchema = z.object({
  check: z.enum(gateChecks),
  passed: z.boolean(),
  detail: z.string().describe('one sentence with the figure and its threshold'),
});

/** Paired comparison of a candidate with Production on the same images. */
export const comparisonSchema = z.object({
  productionVersion: z.number().int(),
  images: z.number().int(),
  candidateAccuracy: z.number(),
  productionAccuracy: z.number(),
  difference: z.number(),
  interval: z.tuple([z.number(), z.number()]),
  onlyCandidateRight: z.number().int(),
  onlyProductionRight: z.number().int(),
  mcnemarPValue: z.number().describe('exact McNemar test, two-sided'),
});
export type Comparison = z.infer<typeof comparisonSchema>;

export const outcomes = ['promote', 'refuse', 'needs_approval'] as const;
export const decisionSchema = z.object({
  outcome: z.enum(outcomes),
  summary: z.string(),
  reasons: z.array(gateReasonSchema),
  comparison: comparisonSchema.nullable(),
});
export type Decision = z.infer<typeof decisionSchema>;

export const modelVersionSchema = z.object({
  modelName: z.string(),
  version: z.number().int().positive(),
  stage: stageSchema,
  runId: z.string(),
  architecture: architectureSchema,
  labels: z.array(z.string()),
  dataset: z.string(),
  datasetVersion: z.number().int(),
  datasetDigest: z.string(),
  bundleKey: z.string().describe('key prefix of the bundle in the object store'),
  bundleSha256: z.string().describe('SHA-256 of manifest.json, which names every other file'),
  sizeBytes: z.number().int().describe('size of the served file, model.onnx'),
  evaluation: evaluationSchema,
  decision: decisionSchema.nullable(),
  createdAt: z.iso.datetime(),
});
export type ModelVersion = z.infer<typeof modelVersionSchema>;

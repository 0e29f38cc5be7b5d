import { z } from 'zod';
import { nameSchema, sourceSchema } from '../datasets/datasets.js';
import { promotionOutcomes } from '../promotion/promotion-pipeline.js';
import { modelNameSchema, decisionSchema } from '../registry/registry.js';
import { hyperparametersSchema, evaluationSchema } from '../training/training.js';
import { triggerSchema } from '../workflows/runs.js';

export const retrainingInputSchema = z.object({
  modelName: modelNameSchema,
  dataset: nameSchema,
  trigger: triggerSchema,
  requestId: z.string(),
  source: sourceSchema.nullable().describe('a source to ingest first; null rescans the folders of the dataset'),
  hyperparameters: hyperparametersSchema,
});
export type RetrainingInput = z.infer<typeof retrainingInputSchema>;

export const retrainingResultSchema = z.object({
  outcome: z.enum(promotionOutcomes),
  summary: z.string(),
  modelName: z.string(),
  version: z.number().int(),
  runId: z.string(),
  dataset: z.string(),
  datasetVersion: z.number().int(),
  test: evaluationSchema,
  decision: decisionSchema,
});
export type RetrainingResult = z.infer<typeof retrainingResultSchema>;

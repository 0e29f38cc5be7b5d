import { z } from 'zod';
import { retentionResultViewSchema } from '../retraining/http-schedules.js';
import { retrainingResultViewSchema } from '../retraining/http-retraining.js';
import { decisionViewSchema } from '../registry/http-versions.js';
import { importResultViewSchema } from '../registry/http-import.js';
import { promotionResultViewSchema } from '../promotion/http-promotions.js';
import { tuningResultViewSchema } from '../experiments/http-tuning.js';
import { ingestionResultViewSchema } from '../datasets/http-datasets.js';
import { batchResultViewSchema } from '../batch-predictions/http-batch-predictions.js';
import { runStatuses, stepStatuses } from '../workflows/runs.js';

export const pipelineStepSchema = z.object({
  name: z.string(),
  status: z.enum(stepStatuses).describe('skipped: the step had nothing to do, or its work was refused'),
  detail: z.string().nullable(),
  started_at: z.iso.datetime().nullable(),
  ended_at: z.iso.datetime().nullable(),
});

export const pipelineSchema = z.object({
  id: z.string().describe('the Temporal run id, globally unique'),
  workflow_id: z.string(),
  workflow: z.string(),
  status: z.enum(runStatuses),
  trigger: z.string(),
  model_name: z.string().nullable(),
  dataset: z.string().nullable(),
  started_at: z.iso.datetime(),
  ended_at: z.iso.datetime().nullable(),
  steps: z.array(pipelineStepSchema),
  result: z.unknown(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  temporal_url: z.string().nullable(),
});

/** A workflow run with its result. */
export const pipelineViewSchema = pipelineSchema
  .extend({
    result: z
      .union([
        retrainingResultViewSchema,
        ingestionResultViewSchema,
        tuningResultViewSchema,
        importResultViewSchema,
        promotionResultViewSchema,
        decisionViewSchema,
        retentionResultViewSchema,
        batchResultViewSchema,
      ])
      .nullable(),
  })
  .meta({ id: 'Pipeline' });

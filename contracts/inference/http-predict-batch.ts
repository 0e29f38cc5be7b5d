import { z } from 'zod';
import { batchPredictionViewSchema } from '../batch-predictions/http-batch-predictions.js';
import { predictionSchema } from './http-predict.js';
import { problemSchema } from '../http/problem.js';

/** Where an image stood in the request, and what the client calls it. */
const place = { index: z.number().int(), filename: z.string().optional() };

/** Of each image of a request its prediction, or the problem that kept it from one. */
export const batchAnswerSchema = z
  .object({
    items: z
      .array(z.union([z.object({ ...place, problem: problemSchema }), predictionSchema.extend(place)]))
      .describe('in the order of the request; a bad image has a problem and does not fail the others'),
    succeeded: z.number().int(),
    failed: z.number().int(),
    model_name: z.string(),
    model_version: z.string().describe('when the request came; a promotion meanwhile shows in the items'),
  })
  .meta({ id: 'PredictionBatch' });

/** A job answers instead when the images lie somewhere else. */
export const predictBatchSchema = z.union([batchAnswerSchema, batchPredictionViewSchema]);

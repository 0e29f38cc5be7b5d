import { z } from 'zod';
import { batchPredictionViewSchema } from '../batch-predictions/http-batch-predictions.js';
import { predictionSchema } from './http-predict.js';
import { problemSchema } from '../http/problem.js';

/** Position of an image in the request, and the client's name for it. */
const place = { index: z.number().int(), filename: z.string().optional() };

/** For each image its prediction or its problem. */
export const batchAnswerSchema = z
  .object({
    items: z
      .array(z.union([z.object({ ...place, problem: problemSchema }), predictionSchema.extend(place)]))
      .describe('in the order of the request; a bad image has a problem and does not fail the others'),
    succeeded: z.number().int(),
    failed: z.number().int(),
    model_name: z.string(),
    model_version: z.string().describe('version at the arrival of the request; items show a later promotion'),
  })
  .meta({ id: 'PredictionBatch' });

/** For images stored elsewhere the answer is a batch prediction. */
export const predictBatchSchema = z.union([batchAnswerSchema, batchPredictionViewSchema]);

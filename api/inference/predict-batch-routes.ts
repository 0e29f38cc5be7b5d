import type { Request } from 'express';
import type { z } from 'zod';
import { type batchAnswerSchema, predictBatchSchema } from '../../contracts/inference/http-predict-batch.js';
import { actorOf } from '../access/actor.js';
import { startBatchPrediction, type BatchStarterDependencies } from '../batch-predictions/start-batch-prediction.js';
import { deadlineOf, timeoutHeaders } from '../http/deadline.js';
import { idempotencyKeyOf } from '../http/idempotency-key.js';
import { createBatchReceiver, imagesBody, type BatchedImage } from './images/receive-images.js';
import { logFault } from '../http/middleware/answer-problems.js';
import { predictEach } from './predict-each.js';
import { problemOf, toPerennialError } from '../http/problems.js';
import { contextOf } from '../http/request-context.js';
import { defineRoute, json, type Route } from '../http/route.js';
import { predictionView } from './prediction-answer.js';
import { batchAccepted } from '../batch-predictions/batch-routes.js';
import { imageProblems } from './predict-routes.js';
import type { Logger } from '../../platform/logging.js';
import type { Predictor } from './predictor.js';
import type { ApiSettings } from '../http/settings.js';
import type { PredictionMetrics } from './metrics/prediction-metrics.js';

interface Dependencies extends BatchStarterDependencies {
  logger: Logger;
  metrics: Pick<PredictionMetrics, 'countPredictionError'>;
  predictor: Pick<Predictor, 'image' | 'served'>;
  settings: Pick<ApiSettings, 'imageUrlHosts' | 'maxUploadBytes' | 'modelName'>;
}
type Answer = z.input<typeof batchAnswerSchema>;

/** Predictions on several images at once. */
export function predictBatchRoutes(deps: Dependencies): Route[] {
  const { predictor, settings } = deps;
  const receiveBatch = createBatchReceiver(settings);
  return [
    defineRoute({
      method: 'post',
      path: '/predict/batch',
      operationId: 'predictBatch',
      summary: 'Classify several images, or start a batch prediction for stored images',
      tag: 'serving',
      kind: 'prediction',
      audit: 'batch_prediction.start',
      headers: timeoutHeaders,
      body: imagesBody(),
      success: {
        ...json(predictBatchSchema, 'One result per image; 202 with the job if `source` is given'),
        otherStatuses: [202],
      },
      problems: [...imageProblems, 'not_found', 'conflict', 'source_empty', 'temporal_unavailable'],
      async handle({ request }) {
        const deadline = deadlineOf(request);
        const received = await receiveBatch(request);
        if ('job' in received) {
          const asked = { by: actorOf(request), idempotencyKey: idempotencyKeyOf(request) };
          return batchAccepted(await startBatchPrediction(deps, received.job, asked));
        }
        const { version } = predictor.served();
        const items = await predictEach(received.images, (image, index) =>
          predictItem(deps, image, { index, request, deadline }),
        );
        const failed = items.filter((item) => 'problem' in item).length;
        return {
          body: {
            items,
            succeeded: items.length - failed,
            failed,
            model_name: version.modelName,
            model_version: String(version.version),
          },
        };
      },
    }),
  ];
}

interface Place {
  index: number;
  request: Request;
  deadline: { deadlineAt?: number };
}

async function predictItem(
  { predictor, metrics, logger }: Dependencies,
  { filename, bytes }: BatchedImage,
  { index, request, deadline }: Place,
): Promise<Answer['items'][number]> {
  const place = { index, ...(filename !== null && { filename }) };
  try {
    const predicted = await predictor.image(await bytes(), { route: 'predict_batch', ...deadline });
    return { ...place, ...predictionView(predicted) };
  } catch (thrown) {
    const error = toPerennialError(thrown);
    metrics.countPredictionError(error.code);
    logFault(logger, request, error);
    const { requestId, basePath } = contextOf(request);
    return { ...place, problem: problemOf(error, '/predict/batch', requestId, basePath) };
  }
}

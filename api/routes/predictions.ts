import { z } from 'zod';
import { pageOf } from '../../contracts/http.js';
import {
  predictionDetailViewSchema,
  predictionQuery,
  storedPredictionViewSchema,
} from '../../contracts/http-predictions.js';
import { unknownPrediction } from '../../stores/feedback.js';
import type { StoredPrediction } from '../../stores/predictions.js';
import type { ApiDependencies } from '../dependencies.js';
import { pageQuery } from '../page-query.js';
import { defineRoute, json, nothing, type Route } from '../route.js';
import { feedbackView, storedPredictionView } from '../views/prediction.js';

/** What was predicted. */
export function predictionHistoryRoutes({
  predictions,
  predictionLog,
  feedback,
}: Pick<ApiDependencies, 'predictions' | 'predictionLog' | 'feedback'>): Route[] {
  return [
    defineRoute({
      ...nothing,
      method: 'get',
      path: '/api/v1/predictions',
      operationId: 'listPredictions',
      summary: 'Predictions, newest first',
      tag: 'predictions',
      query: pageQuery.extend(predictionQuery.shape),
      success: json(pageOf(storedPredictionViewSchema), 'A page of predictions'),
      problems: ['bad_request', 'database_unavailable'],
      async handle({ query: { limit, page_token, model, label, has_feedback, ...same } }) {
        const filters = { modelName: model, predicted: label, hasFeedback: has_feedback, ...same };
        const page = await predictions.list({ limit, pageToken: page_token ?? null, ...filters });
        return { body: { items: page.items.map(storedPredictionView), next_page_token: page.nextPageToken } };
      },
    }),
    defineRoute({
      ...nothing,
      method: 'get',
      path: '/api/v1/predictions/{id}',
      operationId: 'getPrediction',
      summary: 'A prediction and every label it was given',
      tag: 'predictions',
      params: z.object({ id: z.uuid() }),
      success: json(predictionDetailViewSchema, 'The prediction'),
      problems: ['bad_request', 'not_found', 'database_unavailable'],
      async handle({ params }) {
        const prediction = await findPrediction({ predictions, predictionLog }, params.id);
        const history = await feedback.history(prediction.id);
        return { body: { ...storedPredictionView(prediction), feedback: history.map(feedbackView) } };
      },
    }),
  ];
}

/** A prediction, also one that is on its way to Postgres still. Throws `not_found`. */
export async function findPrediction(
  { predictions, predictionLog }: Pick<ApiDependencies, 'predictions' | 'predictionLog'>,
  id: string,
): Promise<StoredPrediction> {
  const known = await predictions.get(id);
  if (known) return known;
  await predictionLog.flush();
  const arrived = await predictions.get(id);
  if (arrived) return arrived;
  throw unknownPrediction(id);
}

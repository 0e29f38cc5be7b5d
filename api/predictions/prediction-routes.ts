import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { pageOf } from '../../contracts/http/page.js';
import {
  predictionDetailViewSchema,
  predictionQuery,
  storedPredictionViewSchema,
} from '../../contracts/predictions/http-predictions.js';
import { findPrediction, type PredictionLookup } from './find-prediction.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, text, type Route } from '../http/route.js';
import { feedbackView, capturedInputView, storedPredictionView } from './prediction-view.js';
import type { FeedbackStore } from '../../stores/predictions/feedback.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { PredictionInputStore } from '../../stores/predictions/prediction-inputs.js';
import type { PredictionStore } from '../../stores/predictions/predictions.js';

interface Dependencies extends PredictionLookup {
  predictions: Pick<PredictionStore, 'get' | 'list'>;
  feedback: Pick<FeedbackStore, 'history'>;
  inputs: Pick<PredictionInputStore, 'get'>;
  objects: Pick<ObjectStore, 'get'>;
}

const imageContents = { 'image/jpeg': z.string(), 'image/png': z.string(), 'image/webp': z.string() };

const idParams = z.object({ id: z.uuid().toLowerCase() });

/** Stored predictions. */
export function predictionHistoryRoutes(deps: Dependencies): Route[] {
  return [listRoute(deps), detailRoute(deps), inputRoute(deps)];
}

function listRoute({ predictions }: Dependencies): Route {
  return defineRoute({
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
  });
}

function detailRoute(deps: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/predictions/{id}',
    operationId: 'getPrediction',
    summary: 'A prediction with all its feedback',
    tag: 'predictions',
    params: idParams,
    success: json(predictionDetailViewSchema, 'The prediction'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params }) {
      const prediction = await findPrediction(deps, params.id);
      const [history, input] = await Promise.all([
        deps.feedback.history(prediction.id),
        deps.inputs.get(prediction.id),
      ]);
      return {
        body: {
          ...storedPredictionView(prediction),
          feedback: history.map(feedbackView),
          input: input && capturedInputView(input),
        },
      };
    },
  });
}

function inputRoute({ inputs, objects }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/predictions/{id}/input',
    operationId: 'getPredictionInput',
    summary: 'The captured image of a prediction, while it is stored',
    tag: 'predictions',
    params: idParams,
    success: {
      ...text('image/jpeg', 'The image without metadata'),
      otherContents: imageContents,
    },
    problems: ['bad_request', 'not_found', 'database_unavailable', 'object_store_unavailable'],
    async handle({ params: { id }, response }) {
      const input = await inputs.get(id);
      if (!input) {
        throw new PerennialError(
          'not_found',
          `No image of prediction ${id} is stored: the policy of its model did not capture it, it has expired, or it was erased.`,
        );
      }
      const bytes = await objects.get(input.objectKey);
      // Serve uploaded content as an image only (nosniff, CSP).
      response.set({ 'Content-Type': input.contentType, 'X-Content-Type-Options': 'nosniff' });
      response.set('Cache-Control', 'private, no-store').end(bytes);
      return { body: '' };
    },
  });
}

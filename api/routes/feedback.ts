import { z } from 'zod';
import { nameSchema } from '../../contracts/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import {
  feedbackViewSchema,
  giveFeedbackSchema,
  periodQuery,
  productionAccuracyViewSchema,
  versionNumber,
} from '../../contracts/http-predictions.js';
import { wilsonInterval } from '../../domain/wilson-interval.js';
import type { StoredPrediction } from '../../stores/predictions.js';
import { actorOf } from '../actor.js';
import type { ApiDependencies } from '../dependencies.js';
import { invalidRequest } from '../problems.js';
import { defineRoute, json, jsonBody, nothing, type Route } from '../route.js';
import { feedbackView, productionAccuracyView } from '../views/prediction.js';
import { findPrediction } from './predictions.js';

type Needed = Pick<ApiDependencies, 'predictions' | 'predictionLog' | 'feedback' | 'metrics' | 'registry'>;

/** True labels of predictions, and the accuracy they amount to. */
export function feedbackRoutes(deps: Needed): Route[] {
  return [giveFeedbackRoute(deps), productionAccuracyRoute(deps)];
}

function giveFeedbackRoute(deps: Needed): Route {
  return defineRoute({
    ...nothing,
    method: 'post',
    path: '/feedback',
    operationId: 'giveFeedback',
    summary: 'Say what a predicted image really shows',
    tag: 'predictions',
    body: jsonBody(giveFeedbackSchema, { maxBytes: 100_000 }, true),
    success: json(feedbackViewSchema, 'The label was added; 200 when it was there already', 201),
    problems: ['bad_request', 'not_found', 'conflict', 'unsupported_type', 'too_large', 'database_unavailable'],
    audit: 'feedback.add',
    async handle({ body, request }) {
      const prediction = await findPrediction(deps, body.prediction_id);
      checkLabel(prediction, body.label);
      const { feedback, repeated } = await deps.feedback.add(
        { predictionId: prediction.id, label: body.label, comment: body.comment ?? null },
        actorOf(request),
      );
      if (!repeated) deps.metrics.countFeedback(String(feedback.version), feedback.label === feedback.predicted);
      return { body: feedbackView(feedback), status: repeated ? 200 : 201 };
    },
  });
}

/** The classes are those the prediction chose from: what the model knew then. */
function checkLabel({ probabilities }: StoredPrediction, label: string): void {
  if (probabilities === null || Object.hasOwn(probabilities, label)) return;
  const classes = Object.keys(probabilities).sort().join(', ');
  throw invalidRequest([{ pointer: '#/label', detail: `not a class of the model, which knows ${classes}` }]);
}

function productionAccuracyRoute({ feedback, registry }: Needed): Route {
  return defineRoute({
    ...nothing,
    method: 'get',
    path: '/api/v1/mlops/models/{name}/production-accuracy',
    operationId: 'getProductionAccuracy',
    summary: 'How often a model was right in production, as far as labels tell',
    tag: 'predictions',
    params: z.object({ name: nameSchema }),
    query: periodQuery.extend({ version: versionNumber.optional() }),
    success: json(productionAccuracyViewSchema, 'Accuracy over all versions and of each, with confusion counts'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params, query }) {
      const counts = await feedback.confusion(params.name, query);
      if (counts.length === 0 && (await registry.list(params.name, { limit: 1 })).items.length === 0) {
        throw new PerennialError('not_found', `There is no model ${params.name}. It is made by its first training.`);
      }
      return { body: productionAccuracyView(params.name, counts, wilsonInterval) };
    },
  });
}

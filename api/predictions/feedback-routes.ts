import { z } from 'zod';
import { nameSchema } from '../../contracts/datasets/datasets.js';
import type { Actor } from '../../contracts/audit/audit.js';
import { errorCodeOf, errorTable, PerennialError } from '../../contracts/errors.js';
import {
  feedbackBatchViewSchema,
  feedbackViewSchema,
  giveFeedbackBatchSchema,
  giveFeedbackSchema,
  periodQuery,
  productionAccuracyViewSchema,
} from '../../contracts/predictions/http-predictions.js';
import { versionNumber } from '../../contracts/http/version-number.js';
import type { FeedbackStore } from '../../stores/predictions/feedback.js';
import { unknownModel } from '../../stores/promotion/production.js';
import { actorOf } from '../access/actor.js';
import { requireClass } from './class-label.js';
import { findPatienceMs, findPrediction, type PredictionLookup } from './find-prediction.js';
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import { feedbackView, productionAccuracyView } from './prediction-view.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { FeedbackMetrics } from './prediction-metrics.js';

interface Dependencies extends PredictionLookup {
  feedback: Pick<FeedbackStore, 'add' | 'confusion'>;
  metrics: Pick<FeedbackMetrics, 'countFeedback'>;
  registry: Pick<RegistryStore, 'list'>;
}

/** Feedback: true labels of predictions, and production accuracy. */
export function feedbackRoutes(deps: Dependencies): Route[] {
  return [giveFeedbackRoute(deps), giveBatchRoute(deps), productionAccuracyRoute(deps)];
}

function giveFeedbackRoute(deps: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: '/feedback',
    operationId: 'giveFeedback',
    summary: 'Send the true label of a prediction',
    tag: 'predictions',
    body: jsonBody(giveFeedbackSchema, { maxBytes: 100_000 }, true),
    success: {
      ...json(feedbackViewSchema, 'The label was added; 200 if it existed already', 201),
      otherStatuses: [200],
    },
    problems: ['bad_request', 'not_found', 'conflict', 'unsupported_type', 'too_large', 'database_unavailable'],
    audit: 'feedback.add',
    async handle({ body, request }) {
      const { feedback, repeated } = await give(deps, body, actorOf(request));
      return { body: feedbackView(feedback), status: repeated ? 200 : 201 };
    },
  });
}

type Given = z.output<typeof giveFeedbackSchema>;

async function give(deps: Dependencies, given: Given, by: Actor, waitMs?: number): ReturnType<FeedbackStore['add']> {
  const prediction = await findPrediction(deps, given.prediction_id, waitMs);
  const label = requireClass(prediction, given.label);
  const { comment = null } = given;
  const added = await deps.feedback.add({ predictionId: prediction.id, label, comment }, by);
  const { feedback, repeated } = added;
  if (!repeated) deps.metrics.countFeedback(String(feedback.version), feedback.label === feedback.predicted);
  return added;
}

function giveBatchRoute(deps: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: '/feedback/batch',
    operationId: 'giveFeedbackBatch',
    summary: 'Send the true labels of many predictions; each is accepted or refused separately',
    tag: 'predictions',
    body: jsonBody(giveFeedbackBatchSchema, { maxBytes: 3_000_000 }, true),
    success: json(feedbackBatchViewSchema, 'The result of each'),
    problems: ['bad_request', 'unsupported_type', 'too_large', 'database_unavailable'],
    audit: 'feedback.add',
    async handle({ body, request }) {
      const results: Result[] = [];
      // Sequentially, so that labels of the same prediction keep the order of the request.
      const until = Date.now() + findPatienceMs;
      for (const given of body.feedback) results.push(await giveOne(deps, given, actorOf(request), until));
      const count = (wanted: Result['result']): number => results.filter(({ result }) => result === wanted).length;
      return { body: { added: count('added'), repeated: count('repeated'), failed: count('failed'), results } };
    },
  });
}

type Result = z.input<typeof feedbackBatchViewSchema>['results'][number];

async function giveOne(deps: Dependencies, given: Given, by: Actor, until: number): Promise<Result> {
  const { prediction_id } = given;
  try {
    const { repeated } = await give(deps, given, by, Math.max(0, until - Date.now()));
    return { prediction_id, result: repeated ? 'repeated' : 'added', code: null, detail: null };
  } catch (error) {
    const code = errorCodeOf(error);
    // A client error affects one label only; a server error ends the request.
    if (!(error instanceof PerennialError) || errorTable[code].status >= 500) throw error;
    return { prediction_id, result: 'failed', code, detail: error.message };
  }
}

function productionAccuracyRoute({ feedback, registry }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/mlops/models/{name}/production-accuracy',
    operationId: 'getProductionAccuracy',
    summary: 'Production accuracy of a model, from feedback',
    tag: 'predictions',
    params: z.object({ name: nameSchema }),
    query: periodQuery.extend({ version: versionNumber.optional() }),
    success: json(productionAccuracyViewSchema, 'Accuracy over all versions and per version, with confusion matrices'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params, query }) {
      const counts = await feedback.confusion(params.name, query);
      if (counts.length === 0 && (await registry.list(params.name, { limit: 1 })).items.length === 0) {
        throw unknownModel(params.name);
      }
      return { body: productionAccuracyView(params.name, counts) };
    },
  });
}

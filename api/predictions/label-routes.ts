import { randomUUID } from 'node:crypto';
import { classNamed } from '../../contracts/datasets/label.js';
import { PerennialError } from '../../contracts/errors.js';
import {
  decideLabelSchema,
  ingestLabelsSchema,
  labelCandidateViewSchema,
  labelDecisionViewSchema,
  labelListQuery,
  labelQueueQuery,
} from '../../contracts/predictions/http-labels.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { pageOf } from '../../contracts/http/page.js';
import { byPriority, labelPriority } from '../../domain/predictions/label-priority.js';
import { actorOf } from '../access/actor.js';
import { findPrediction, type PredictionLookup } from './find-prediction.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import { labelCandidateView, labelDecisionView } from './label-view.js';
import { requireClass } from './class-label.js';
import { recordStart, accepted } from '../workflows/accepted.js';
import type { ApiSettings } from '../http/settings.js';
import type { AuditStore } from '../../stores/audit/audit.js';
import type { LabelStore } from '../../stores/predictions/labels.js';
import type { Logger } from '../../platform/logging.js';
import type { PipelineStarter } from '../workflows/pipeline-starter.js';
import type { RetrainingRequests } from '../retraining/retraining-requests.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';
import type { FeedbackMetrics } from './prediction-metrics.js';

interface Dependencies extends PredictionLookup {
  labels: Pick<LabelStore, 'candidates' | 'decide' | 'list'>;
  metrics: Pick<FeedbackMetrics, 'countFeedback'>;
  settings: Pick<ApiSettings, 'datasetName' | 'modelName'>;
  starter: Pick<PipelineStarter, 'startIngestion'>;
  temporalUrl: TemporalUrl;
  audit: Pick<AuditStore, 'add'>;
  retrainer: Pick<RetrainingRequests, 'checkKnown'>;
  logger: Logger;
}

/** Number of newest unlabelled images that the queue ranks. */
const queueWindow = 2_000;

/** The label queue: candidates, decisions, ingestion of labelled images. */
export function labelRoutes(deps: Dependencies): Route[] {
  return [queueRoute(deps), decideRoute(deps), listRoute(deps), ingestRoute(deps)];
}

function queueRoute({ labels, settings }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/labels/queue',
    operationId: 'listLabelQueue',
    summary: 'Label queue: unlabelled images, most useful first',
    tag: 'predictions',
    query: pageQuery.extend(labelQueueQuery.shape),
    success: json(pageOf(labelCandidateViewSchema), 'A page of predictions that wait for a label'),
    problems: ['bad_request', 'database_unavailable'],
    async handle({ query: { model = settings.modelName, strategy, limit, page_token: token } }) {
      const last = token === undefined ? null : placeOfToken(token);
      const candidates = await labels.candidates(model, queueWindow);
      const ranked = candidates
        .map((candidate) => ({ candidate, id: candidate.id, ...labelPriority(candidate, strategy) }))
        .sort(byPriority);
      const after = last === null ? ranked : ranked.filter((each) => byPriority(last, each) < 0);
      const shown = after.slice(0, limit);
      const end = after.length > limit ? shown.at(-1) : undefined;
      return {
        body: {
          items: shown.map(({ candidate, ...priority }) => labelCandidateView(candidate, priority)),
          next_page_token: end ? `${end.score.toFixed(9)}_${end.id}` : null,
        },
      };
    },
  });
}

/** End of the previous page: its last score and prediction. */
function placeOfToken(token: string): { score: number; id: string } {
  const [, score, id] = /^([01]\.\d{9})_([0-9a-f-]{36})$/.exec(token) ?? [];
  if (score !== undefined && id !== undefined) return { score: Number(score), id };
  throw new PerennialError('bad_request', 'The page token is invalid for this list. Start again without it.');
}

function decideRoute(deps: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: '/api/v1/labels',
    operationId: 'decideLabel',
    summary: 'Label an image of the queue',
    tag: 'predictions',
    body: jsonBody(decideLabelSchema, { maxBytes: 100_000 }, true),
    success: {
      ...json(labelDecisionViewSchema, 'The decision was added; 200 if it existed already', 201),
      otherStatuses: [200],
    },
    problems: ['bad_request', 'not_found', 'conflict', 'unsupported_type', 'too_large', 'database_unavailable'],
    audit: 'label.decide',
    async handle({ body, request }) {
      const prediction = await findPrediction(deps, body.prediction_id);
      const label = body.label ?? null;
      const isKnown = label === null || classNamed(Object.keys(prediction.probabilities ?? {}), label) !== null;
      const newClass = body.new_class && !isKnown;
      const { decision, repeated } = await deps.labels.decide(
        {
          predictionId: prediction.id,
          decision: body.decision,
          label: label === null || newClass ? label : requireClass(prediction, label),
          newClass,
          comment: body.comment ?? null,
          replaces: body.replaces === undefined ? null : Number(body.replaces),
        },
        actorOf(request),
      );
      if (!repeated && decision.label !== null) {
        deps.metrics.countFeedback(String(decision.version), decision.label === decision.predicted);
      }
      return { body: labelDecisionView(decision), status: repeated ? 200 : 201 };
    },
  });
}

function listRoute({ labels }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/labels',
    operationId: 'listLabels',
    summary: 'Label decisions, newest first',
    tag: 'predictions',
    query: pageQuery.extend(labelListQuery.shape),
    success: json(pageOf(labelDecisionViewSchema), 'A page of decisions'),
    problems: ['bad_request', 'database_unavailable'],
    async handle({ query: { limit, page_token: pageToken = null, model, decision } }) {
      const page = await labels.list({ limit, pageToken, modelName: model, decision });
      return { body: { items: page.items.map(labelDecisionView), next_page_token: page.nextPageToken } };
    },
  });
}

function ingestRoute(deps: Dependencies): Route {
  const { retrainer, settings, starter, temporalUrl } = deps;
  return defineRoute({
    method: 'post',
    path: '/api/v1/labels/ingest',
    operationId: 'ingestLabels',
    summary: 'Ingest the labelled images of a model into a dataset',
    tag: 'predictions',
    audit: 'pipeline.start',
    body: jsonBody(ingestLabelsSchema, { maxBytes: 10_000 }),
    success: json(acceptedSchema, 'Started, or joined the one under way', 202),
    problems: [
      'bad_request',
      'not_found',
      'unsupported_type',
      'insufficient_storage',
      'temporal_unavailable',
      'database_unavailable',
    ],
    async handle({ body, request }) {
      const model = body.model ?? settings.modelName;
      await retrainer.checkKnown(model);
      const input = {
        dataset: body.dataset ?? settings.datasetName,
        source: { kind: 'labels', model },
        trigger: 'manual',
      } as const;
      const run = await starter.startIngestion({ ...input, requestId: randomUUID() });
      await recordStart(deps, request, run, input);
      return accepted(run, temporalUrl);
    },
  });
}

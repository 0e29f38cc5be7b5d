import { randomUUID } from 'node:crypto';
import type { Request } from 'express';
import { z } from 'zod';
import { modelNameSchema } from '../../contracts/registry/registry.js';
import {
  checkRetrainingSchema,
  decisionViewOfRetrainingSchema,
  retrainingCheckSchema,
  triggeredRetrainingSchema,
  triggerRetrainingSchema,
} from '../../contracts/retraining/http-retraining.js';
import { hyperparametersBodySchema, startRetrainingSchema } from '../../contracts/retraining/http-start.js';
import { scheduleViewSchema, setRetrainingScheduleSchema } from '../../contracts/retraining/http-schedules.js';
import { pageOf } from '../../contracts/http/page.js';
import { fromSnake } from '../../contracts/http/snake-shape.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { checkSource } from '../datasets/check-source.js';
import { actorOf } from '../access/actor.js';
import { idempotencyKeyOf } from '../http/idempotency-key.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import { checkView, decisionView } from './retraining-view.js';
import { accepted } from '../workflows/accepted.js';
import { changesOf, viewOf, type ScheduleLookup } from './schedules/schedule-routes.js';
import type { ApiSettings } from '../http/settings.js';
import type { RetrainingOrder, RetrainingRequests } from './retraining-requests.js';
import type { RetrainingDecision, RetrainingDecisions } from '../../stores/retraining/retraining-decisions.js';
import type { Schedules } from './schedules/schedules.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';

/** Dependencies of the routes that start a retraining. */
export interface OrderDependencies {
  retrainer: Pick<RetrainingRequests, 'order'>;
  temporalUrl: TemporalUrl;
  settings: Pick<ApiSettings, 'datasetName' | 'modelName' | 'sourceFolders'>;
}

interface Dependencies extends ScheduleLookup, OrderDependencies {
  retrainer: Pick<RetrainingRequests, 'check' | 'checkKnown' | 'order'>;
  decisions: Pick<RetrainingDecisions, 'list'> & ScheduleLookup['decisions'];
  schedules: Pick<Schedules, 'ensure' | 'update'>;
}

const limit = { maxBytes: 100_000 };
const path = '/api/v1/mlops/retraining';

/** Checks, starts and lists retrainings. */
export function retrainingRoutes(dependencies: Dependencies): Route[] {
  return [
    checkRoute(dependencies),
    triggerRoute(dependencies),
    scheduleRoute(dependencies),
    historyRoute(dependencies),
  ];
}

function checkRoute({ retrainer, settings }: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: `${path}/check`,
    operationId: 'checkRetraining',
    summary: 'Check whether the model needs a retraining; starts nothing',
    tag: 'retraining',
    audit: null,
    body: jsonBody(checkRetrainingSchema, limit),
    success: json(retrainingCheckSchema, 'The decision that continuous training would take now'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    handle: async ({ body }) => ({ body: checkView(await retrainer.check(body.model_name ?? settings.modelName)) }),
  });
}

function triggerRoute(dependencies: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: `${path}/trigger/{name}`,
    operationId: 'triggerRetraining',
    summary: 'Retrain a model, and promote the new version if it is better',
    tag: 'retraining',
    audit: 'retraining.trigger',
    params: z.object({ name: modelNameSchema }),
    body: jsonBody(triggerRetrainingSchema, limit),
    success: json(triggeredRetrainingSchema, 'Started, or joined the one under way with the same inputs', 202),
    problems: [
      'bad_request',
      'not_found',
      'conflict',
      'run_in_progress',
      'insufficient_storage',
      'temporal_unavailable',
      'database_unavailable',
    ],
    async handle({ params: { name }, body, request }) {
      await dependencies.retrainer.checkKnown(name);
      const { reply, decision } = await orderRetraining(dependencies, request, body.hyperparameters, {
        modelName: name,
        dataset: body.dataset ?? null,
        trigger: 'manual',
        requestId: `${name} ${idempotencyKeyOf(request)}`,
        source: null,
        force: body.force,
      });
      return { ...reply, body: { ...reply.body, decision_id: String(decision.id), reason: decision.reason } };
    },
  });
}

/** Starts a retraining regardless of the checks. */
export function startRetrainingRoute(dependencies: OrderDependencies): Route {
  const { settings } = dependencies;
  return defineRoute({
    method: 'post',
    path: '/api/v1/pipelines/retraining',
    operationId: 'startRetraining',
    summary: 'Retrain a model, and promote the new version if it is better',
    tag: 'pipelines',
    audit: 'retraining.trigger',
    body: jsonBody(startRetrainingSchema, limit),
    success: json(acceptedSchema, 'Started, or joined the one under way with the same inputs', 202),
    problems: [
      'bad_request',
      'run_in_progress',
      'unsupported_type',
      'source_not_allowed',
      'source_layout',
      'split_undecided',
      'insufficient_storage',
      'temporal_unavailable',
      'database_unavailable',
    ],
    async handle({ body, request }) {
      if (body.source) await checkSource(body.source, settings.sourceFolders);
      const { reply } = await orderRetraining(dependencies, request, body.hyperparameters, {
        modelName: body.model_name ?? settings.modelName,
        dataset: body.dataset ?? settings.datasetName,
        trigger: body.trigger,
        requestId: randomUUID(),
        source: body.source ?? null,
        force: true,
      });
      return reply;
    },
  });
}

/** Starts a retraining for either route and makes the 202 answer. `hyperparameters` are in snake_case. */
async function orderRetraining(
  { retrainer, temporalUrl }: OrderDependencies,
  request: Request,
  hyperparameters: z.output<typeof hyperparametersBodySchema> | undefined,
  order: Omit<RetrainingOrder, 'hyperparameters' | 'by'>,
): Promise<{ reply: ReturnType<typeof accepted>; decision: RetrainingDecision }> {
  const { run, decision } = await retrainer.order({
    ...order,
    hyperparameters: hyperparameters ? fromSnake(hyperparametersBodySchema, hyperparameters) : null,
    by: actorOf(request),
  });
  return { reply: accepted(run, temporalUrl), decision };
}

function scheduleRoute(dependencies: Dependencies): Route {
  const { retrainer, schedules, settings } = dependencies;
  return defineRoute({
    method: 'post',
    path: `${path}/schedule`,
    operationId: 'scheduleRetraining',
    summary: 'Set the schedule of automatic retrainings',
    tag: 'retraining',
    audit: 'schedule.update',
    body: jsonBody(setRetrainingScheduleSchema, limit, true),
    success: json(scheduleViewSchema, 'The changed schedule'),
    problems: ['bad_request', 'not_found', 'temporal_unavailable', 'database_unavailable'],
    async handle({ body: { model_name: model, paused, ...setting }, request }) {
      const modelName = model ?? settings.modelName;
      await retrainer.checkKnown(modelName);
      await schedules.ensure(modelName);
      const id = `mlops_retraining_pipeline-${modelName}`;
      const changes = { setting: changesOf(setting), ...(paused !== undefined && { isPaused: paused }) };
      return { body: await viewOf(dependencies, await schedules.update(id, changes, actorOf(request))) };
    },
  });
}

function historyRoute({ decisions }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: `${path}/history`,
    operationId: 'listRetrainingDecisions',
    summary: 'Retraining requests with decision, reason and outcome, newest first',
    tag: 'retraining',
    query: pageQuery.extend({ model: modelNameSchema.optional() }),
    success: json(pageOf(decisionViewOfRetrainingSchema), 'A page of decisions'),
    problems: ['bad_request', 'database_unavailable'],
    async handle({ query: { limit: size, page_token, model } }) {
      const page = await decisions.list({
        limit: size,
        pageToken: page_token ?? null,
        ...(model !== undefined && { modelName: model }),
      });
      return { body: { items: page.items.map(decisionView), next_page_token: page.nextPageToken } };
    },
  });
}

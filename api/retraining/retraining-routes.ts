import { z } from 'zod';
import { modelNameSchema } from '../../contracts/registry/registry.js';
import {
  checkRetrainingSchema,
  decisionViewOfRetrainingSchema,
  retrainingCheckSchema,
  triggeredRetrainingSchema,
  triggerRetrainingSchema,
} from '../../contracts/retraining/http-retraining.js';
import { hyperparametersBodySchema } from '../../contracts/retraining/http-start.js';
import { scheduleViewSchema, setRetrainingScheduleSchema } from '../../contracts/retraining/http-schedules.js';
import { pageOf } from '../../contracts/http/page.js';
import { fromSnake } from '../../contracts/http/snake-shape.js';
import { actorOf } from '../access/actor.js';
import { idempotencyKeyOf } from '../http/idempotency-key.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, jsonBody, nothing, type Route } from '../http/route.js';
import { checkView, decisionView } from './retraining-view.js';
import { accepted } from '../workflows/accepted.js';
import { changesOf, viewOf, type ScheduleLookup } from './schedules/schedule-routes.js';
import type { ApiSettings } from '../http/settings.js';
import type { RetrainingRequests } from './retraining-requests.js';
import type { RetrainingDecisions } from '../../stores/retraining/retraining-decisions.js';
import type { Schedules } from './schedules/schedules.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';

interface Dependencies extends ScheduleLookup {
  retrainer: Pick<RetrainingRequests, 'check' | 'checkKnown' | 'order'>;
  decisions: Pick<RetrainingDecisions, 'list'> & ScheduleLookup['decisions'];
  schedules: Pick<Schedules, 'ensure' | 'update'>;
  temporalUrl: TemporalUrl;
  settings: Pick<ApiSettings, 'modelName'>;
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
    ...nothing,
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

function triggerRoute({ retrainer, temporalUrl }: Dependencies): Route {
  return defineRoute({
    ...nothing,
    method: 'post',
    path: `${path}/trigger/{name}`,
    operationId: 'triggerRetraining',
    summary: 'Retrain a model, and promote the new version if it is better',
    tag: 'retraining',
    audit: 'retraining.trigger',
    params: z.object({ name: modelNameSchema }),
    body: jsonBody(triggerRetrainingSchema, limit),
    success: json(triggeredRetrainingSchema, 'Started, or joined the one under way', 202),
    problems: ['bad_request', 'not_found', 'conflict', 'temporal_unavailable', 'database_unavailable'],
    async handle({ params: { name }, body, request }) {
      await retrainer.checkKnown(name);
      const { run, decision } = await retrainer.order({
        modelName: name,
        dataset: body.dataset ?? null,
        trigger: 'manual',
        requestId: `${name} ${idempotencyKeyOf(request)}`,
        source: null,
        hyperparameters: body.hyperparameters ? fromSnake(hyperparametersBodySchema, body.hyperparameters) : null,
        force: body.force,
        by: actorOf(request),
      });
      const reply = accepted(run, temporalUrl);
      return { ...reply, body: { ...reply.body, decision_id: String(decision.id), reason: decision.reason } };
    },
  });
}

function scheduleRoute(dependencies: Dependencies): Route {
  const { retrainer, schedules, settings } = dependencies;
  return defineRoute({
    ...nothing,
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
    ...nothing,
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

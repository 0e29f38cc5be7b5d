import { z } from 'zod';
import { PerennialError } from '../../../contracts/errors.js';
import {
  backfillSchema,
  backfillViewSchema,
  changeScheduleSchema,
  reasonSchema,
  scheduleViewSchema,
  type ScheduleView,
} from '../../../contracts/retraining/http-schedules.js';
import { pageOf } from '../../../contracts/http/page.js';
import { intervalSchema, type ScheduleSetting } from '../../../contracts/retraining/schedules.js';
import { actorOf } from '../../access/actor.js';
import { parseRequest } from '../../http/problems.js';
import { defineRoute, json, jsonBody, type Route } from '../../http/route.js';
import type { ScheduleState } from './schedule-state.js';
import { scheduleView, type KnownRuns } from './schedule-view.js';
import type { PipelineStore } from '../../../stores/pipelines/pipelines.js';
import type { RetrainingDecisions } from '../../../stores/retraining/retraining-decisions.js';
import type { Schedules } from './schedules.js';

/** Stores in which the runs of a schedule are looked up. */
export interface ScheduleLookup {
  decisions: Pick<RetrainingDecisions, 'ofRequests'>;
  pipelines: Pick<PipelineStore, 'get'>;
}

interface Dependencies extends ScheduleLookup {
  schedules: Omit<Schedules, 'ensure'>;
}

const limit = { maxBytes: 10_000 };
const params = z.object({ schedule_id: z.string().max(200) });
const problems = ['bad_request', 'not_found', 'temporal_unavailable', 'database_unavailable'] as const;
const path = '/api/v1/schedules';

/** Schedules of recurring workflows. */
export function scheduleRoutes(dependencies: Dependencies): Route[] {
  return [
    ...readRoutes(dependencies),
    ...pauseRoutes(dependencies),
    triggerRoute(dependencies),
    changeRoute(dependencies),
    backfillRoute(dependencies),
  ];
}

/** A schedule as snake_case JSON, with the stored runs that it started. */
export async function viewOf({ decisions, pipelines }: ScheduleLookup, state: ScheduleState): Promise<ScheduleView> {
  return scheduleView(state, await knownRuns({ decisions, pipelines }, [state]));
}

async function knownRuns(
  { decisions, pipelines }: ScheduleLookup,
  states: readonly ScheduleState[],
): Promise<KnownRuns> {
  const runsOf = (of: readonly ScheduleState[]): string[] =>
    of.flatMap(({ lastRuns }) => lastRuns.map(({ runId }) => runId));
  const recorded = runsOf(states.filter(({ job }) => job === 'retention'));
  const records = await Promise.all(recorded.map((runId) => pipelines.get(runId)));
  return {
    decisions: await decisions.ofRequests(runsOf(states)),
    statuses: new Map(records.flatMap((record) => (record ? [[record.id, record.status] as const] : []))),
  };
}

type SettingBody = z.output<typeof changeScheduleSchema>;

/** The requested changes of a body. Throws `bad_request` for an interval outside the limits. */
export function changesOf(body: SettingBody): Partial<ScheduleSetting> {
  const { hour_window: hourWindow, time_zone: timeZone, jitter_seconds: jitterSeconds } = body;
  const everySeconds = intervalOf(body);
  return {
    ...(everySeconds !== undefined && { everySeconds }),
    ...(hourWindow !== undefined && { hourWindow }),
    ...(timeZone !== undefined && { timeZone }),
    ...(jitterSeconds !== undefined && { jitterSeconds }),
  };
}

function intervalOf(body: SettingBody): number | undefined {
  const minutes = (count: number | undefined, size: number): number | undefined =>
    count === undefined ? undefined : count * size * 60;
  const { every } = body;
  const seconds =
    body.interval_seconds ??
    minutes(body.every_minutes, 1) ??
    minutes(body.every_hours, 60) ??
    minutes(body.every_days, 1_440) ??
    (every && ((every.days * 24 + every.hours) * 60 + every.minutes) * 60);
  if (seconds === undefined) return undefined;
  return parseRequest(intervalSchema, seconds, '#/every');
}

function readRoutes(dependencies: Dependencies): Route[] {
  const { schedules } = dependencies;
  return [
    defineRoute({
      method: 'get',
      path,
      operationId: 'listSchedules',
      summary: 'Schedules with their next and last runs',
      tag: 'schedules',
      success: json(pageOf(scheduleViewSchema), 'All schedules, by id'),
      problems: ['temporal_unavailable', 'database_unavailable'],
      async handle() {
        const states = await schedules.list();
        const known = await knownRuns(dependencies, states);
        return { body: { items: states.map((state) => scheduleView(state, known)), next_page_token: null } };
      },
    }),
    defineRoute({
      method: 'get',
      path: `${path}/{schedule_id}`,
      operationId: 'getSchedule',
      summary: 'A schedule',
      tag: 'schedules',
      params,
      success: json(scheduleViewSchema, 'The schedule'),
      problems: ['not_found', 'temporal_unavailable', 'database_unavailable'],
      handle: async ({ params: { schedule_id: id } }) => ({
        body: await viewOf(dependencies, await schedules.get(id)),
      }),
    }),
  ];
}

function pauseRoutes(dependencies: Dependencies): Route[] {
  const verbs = [
    { verb: 'pause', operationId: 'pauseSchedule', summary: 'Pause a schedule' },
    { verb: 'resume', operationId: 'resumeSchedule', summary: 'Resume a schedule' },
  ] as const;
  return verbs.map(({ verb, operationId, summary }) =>
    defineRoute({
      method: 'post',
      path: `${path}/{schedule_id}/${verb}`,
      operationId,
      summary,
      tag: 'schedules',
      audit: `schedule.${verb}`,
      params,
      body: jsonBody(reasonSchema, limit),
      success: json(scheduleViewSchema, 'The changed schedule'),
      problems,
      async handle({ params: { schedule_id: id }, body, request }) {
        const by = actorOf(request);
        const reason = body.reason ?? `${verb}d by ${by.name}`;
        return { body: await viewOf(dependencies, await dependencies.schedules[verb](id, reason, by)) };
      },
    }),
  );
}

function triggerRoute(dependencies: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: `${path}/{schedule_id}/trigger`,
    operationId: 'triggerSchedule',
    summary: 'Trigger a schedule now, also if it is paused',
    tag: 'schedules',
    audit: 'schedule.trigger',
    params,
    success: json(scheduleViewSchema, 'Triggered; `last_runs` shows the outcome', 202),
    problems: ['not_found', 'temporal_unavailable', 'database_unavailable'],
    handle: async ({ params: { schedule_id: id }, request }) => ({
      body: await viewOf(dependencies, await dependencies.schedules.trigger(id, actorOf(request))),
    }),
  });
}

function changeRoute(dependencies: Dependencies): Route {
  return defineRoute({
    method: 'put',
    path: `${path}/{schedule_id}`,
    operationId: 'changeSchedule',
    summary: 'Change interval, hour window, time zone or jitter',
    tag: 'schedules',
    audit: 'schedule.update',
    params,
    body: jsonBody(changeScheduleSchema, limit, true),
    success: json(scheduleViewSchema, 'The changed schedule'),
    problems,
    handle: async ({ params: { schedule_id: id }, body, request }) => ({
      body: await viewOf(
        dependencies,
        await dependencies.schedules.update(id, { setting: changesOf(body) }, actorOf(request)),
      ),
    }),
  });
}

function backfillRoute({ schedules }: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: `${path}/{schedule_id}/backfill`,
    operationId: 'backfillSchedule',
    summary: 'Backfill runs of the past, one after the other; lists them only by default',
    tag: 'schedules',
    audit: 'schedule.backfill',
    params,
    body: jsonBody(backfillSchema, limit, true),
    success: {
      ...json(backfillViewSchema, 'The due times; 200 for a dry run, 202 if the runs were requested', 202),
      otherStatuses: [200],
    },
    problems,
    async handle({ params: { schedule_id: id }, body, request }) {
      const from = new Date(body.from);
      const to = new Date(body.to);
      if (from >= to) throw new PerennialError('bad_request', '`from` is not before `to`: exchange them.');
      if (to.getTime() > Date.now()) {
        throw new PerennialError('bad_request', '`to` is in the future: runs due then start automatically.');
      }
      const times = await schedules.backfill(id, { from, to, dryRun: body.dry_run }, actorOf(request));
      return {
        status: body.dry_run ? 200 : 202,
        body: { schedule_id: id, dry_run: body.dry_run, runs: times.length, times },
      };
    },
  });
}

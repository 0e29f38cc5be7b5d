import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import {
  editRunSchema,
  metricCurveViewSchema,
  runComparisonViewSchema,
  runViewSchema,
} from '../../contracts/experiments/http-experiments.js';
import { toSnake } from '../../contracts/http/snake-shape.js';
import { pageOf } from '../../contracts/http/page.js';
import { compareRuns } from '../../domain/experiments/compare-runs.js';
import { downsample } from '../../domain/experiments/downsample.js';
import type { RunDetail, RunDetailStore } from '../../stores/experiments/run-details.js';
import { actorOf } from '../access/actor.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import { parametersOf, runSummaryView, runView } from './run-view.js';
import { anyExperiment, anyExperimentSchema } from './experiment-routes.js';
import type { RunStore } from '../../stores/experiments/runs.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';

interface Dependencies {
  runDetails: Pick<RunDetailStore, 'curves' | 'detail' | 'metricNames' | 'remove' | 'update'>;
  runs: Pick<RunStore, 'artifacts'>;
  temporalUrl: TemporalUrl;
}

const bodyLimit = { maxBytes: 100_000 };
export const runPath = '/api/v1/experiments/{experiment}/runs/{run_id}';
export const runParams = z.object({ experiment: anyExperimentSchema, run_id: z.string().max(200) });

const step = z.coerce.number().int().min(0).max(2_147_483_647);
const curvesQuery = pageQuery.extend({
  name: z.string().max(250).optional().describe('one metric only'),
  max_points: z.coerce
    .number()
    .int()
    .min(4)
    .max(10_000)
    .default(1_000)
    .describe('approximate number of points per metric'),
  from_step: step.optional(),
  to_step: step.optional(),
});
const compareQuery = z.object({
  ids: z
    .string()
    .transform((text) => [...new Set(text.split(',').map((id) => id.trim()))])
    .pipe(z.array(z.string().min(1).max(200)).min(2).max(20))
    .meta({ type: 'string', description: '2 to 20 ids of runs, with commas between them' }),
});

/** Single runs: details, edits, metrics, comparison. */
export function experimentRunRoutes(dependencies: Dependencies): Route[] {
  return [
    getRoute(dependencies),
    editRoute(dependencies),
    deleteRoute(dependencies),
    curvesRoute(dependencies),
    compareRoute(dependencies),
  ];
}

/** The run, if it belongs to the experiment. Throws `not_found`. */
export async function runOf(
  runDetails: Dependencies['runDetails'],
  { experiment, run_id: runId }: z.output<typeof runParams>,
): Promise<RunDetail> {
  const run = await runDetails.detail(runId);
  if (run && (experiment === anyExperiment || run.experiment === experiment)) return run;
  const where = experiment === anyExperiment ? '' : ` in experiment ${experiment}`;
  throw new PerennialError(
    'not_found',
    `There is no run ${runId}${where}; GET /api/v1/experiments/${experiment}/runs lists them.`,
  );
}

function getRoute({ runDetails, runs, temporalUrl }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: runPath,
    operationId: 'getRun',
    summary: 'A run: parameters, metrics, artefacts, result',
    tag: 'experiments',
    params: runParams,
    success: json(runViewSchema, 'The run'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params }) {
      const run = await runOf(runDetails, params);
      return { body: runView(run, await runs.artifacts(run.runId), temporalUrl) };
    },
  });
}

function editRoute({ runDetails, runs, temporalUrl }: Dependencies): Route {
  return defineRoute({
    method: 'patch',
    path: runPath,
    operationId: 'editRun',
    summary: 'Change name or tags; null removes a tag',
    tag: 'experiments',
    audit: 'run.update',
    params: runParams,
    body: jsonBody(editRunSchema, bodyLimit, true),
    success: json(runViewSchema, 'The changed run'),
    problems: ['bad_request', 'unsupported_type', 'not_found', 'database_unavailable'],
    async handle({ params, body, request }) {
      const { runId } = await runOf(runDetails, params);
      await runDetails.update(runId, body, actorOf(request));
      return { body: runView(await runOf(runDetails, params), await runs.artifacts(runId), temporalUrl) };
    },
  });
}

function deleteRoute({ runDetails, runs, temporalUrl }: Dependencies): Route {
  return defineRoute({
    method: 'delete',
    path: runPath,
    operationId: 'deleteRun',
    summary: 'Delete a run that no model version came from',
    tag: 'experiments',
    audit: 'run.delete',
    params: runParams,
    success: json(runViewSchema, 'The deleted run'),
    problems: ['bad_request', 'not_found', 'conflict', 'referenced', 'database_unavailable'],
    async handle({ params, request }) {
      const run = await runOf(runDetails, params);
      const body = runView(run, await runs.artifacts(run.runId), temporalUrl);
      await runDetails.remove(run.runId, actorOf(request));
      return { body };
    },
  });
}

function curvesRoute({ runDetails }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: `${runPath}/metrics`,
    operationId: 'getRunMetrics',
    summary: 'Metrics of a run per step, paged by metric name',
    tag: 'experiments',
    params: runParams,
    query: curvesQuery,
    success: json(pageOf(metricCurveViewSchema), 'A page of metrics with their points'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params, query }) {
      const { runId } = await runOf(runDetails, params);
      const page = await runDetails.curves(runId, {
        ...(query.name !== undefined && { name: query.name }),
        ...(query.from_step !== undefined && { fromStep: query.from_step }),
        ...(query.to_step !== undefined && { toStep: query.to_step }),
        limit: query.limit,
        pageToken: query.page_token ?? null,
      });
      const items = page.items.map(({ name, points }) =>
        toSnake(metricCurveViewSchema, {
          name,
          totalPoints: points.length,
          points: downsample(points, query.max_points),
        }),
      );
      return { body: { items, next_page_token: page.nextPageToken } };
    },
  });
}

function compareRoute({ runDetails }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/experiments/{experiment}/compare',
    operationId: 'compareRuns',
    summary: 'Compare runs: differing parameters, metrics with the best marked',
    tag: 'experiments',
    params: runParams.omit({ run_id: true }),
    query: compareQuery,
    success: json(runComparisonViewSchema, 'The comparison, in the order of the ids'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params: { experiment }, query: { ids } }) {
      const found = await Promise.all(ids.map((id) => runOf(runDetails, { experiment, run_id: id })));
      const compared = found.map((run) => ({
        runId: run.runId,
        parameters: parametersOf(run),
        metrics: run.finalMetrics,
      }));
      return {
        body: {
          runs: found.map(runSummaryView),
          ...compareRuns(compared),
          curves: await runDetails.metricNames(ids),
        },
      };
    },
  });
}

import { z } from 'zod';
import { nameSchema } from '../../contracts/datasets/datasets.js';
import { PerennialError, messageOf } from '../../contracts/errors.js';
import {
  createExperimentSchema,
  editExperimentSchema,
  experimentViewSchema,
  runSummaryViewSchema,
} from '../../contracts/experiments/http-experiments.js';
import { pageOf } from '../../contracts/http/page.js';
import { parseFilter, parseOrder } from '../../domain/experiments/filter-language.js';
import { actorOf } from '../access/actor.js';
import { pageQuery } from '../http/page-query.js';
import { invalidRequest } from '../http/problems.js';
import { defineRoute, json, jsonBody, nothing, type Route } from '../http/route.js';
import { experimentView, runSummaryView } from './run-view.js';
import type { ExperimentStore } from '../../stores/experiments/experiments.js';

interface Dependencies {
  experiments: Pick<ExperimentStore, 'create' | 'get' | 'list' | 'searchRuns' | 'update'>;
}

const bodyLimit = { maxBytes: 100_000 };
const experimentParams = z.object({ experiment: nameSchema });

/** Stands for every experiment in the path of a run: `-` is no name. */
export const anyExperiment = '-';
export const anyExperimentSchema = z
  .union([z.literal(anyExperiment), nameSchema])
  .describe('name of the experiment; `-` is any');

const searchQuery = pageQuery.extend({
  page_token: z.string().max(8_000).optional().describe('`next_page_token` of the page before, in the same order'),
  filter: z
    .string()
    .default('')
    .describe("as in `metrics.accuracy >= 0.9 and params.architecture = 'cnn'`; docs/experiments.md has the language"),
  order_by: z.string().default('').describe('as in `metrics.accuracy desc, started_at`; newest first otherwise'),
});

/** Experiments, and the search for their runs. */
export function experimentRoutes(dependencies: Dependencies): Route[] {
  return [...readRoutes(dependencies), ...changeRoutes(dependencies), searchRoute(dependencies)];
}

function readRoutes({ experiments }: Dependencies): Route[] {
  return [
    defineRoute({
      ...nothing,
      method: 'get',
      path: '/api/v1/experiments',
      operationId: 'listExperiments',
      summary: 'Experiments, newest first',
      tag: 'experiments',
      query: pageQuery,
      success: json(pageOf(experimentViewSchema), 'A page of experiments'),
      problems: ['bad_request', 'database_unavailable'],
      async handle({ query: { limit, page_token: pageToken } }) {
        const page = await experiments.list({ limit, pageToken: pageToken ?? null });
        return { body: { items: page.items.map(experimentView), next_page_token: page.nextPageToken } };
      },
    }),
    defineRoute({
      ...nothing,
      method: 'get',
      path: '/api/v1/experiments/{experiment}',
      operationId: 'getExperiment',
      summary: 'An experiment',
      tag: 'experiments',
      params: experimentParams,
      success: json(experimentViewSchema, 'The experiment'),
      problems: ['bad_request', 'not_found', 'database_unavailable'],
      async handle({ params }) {
        const experiment = await experiments.get(params.experiment);
        if (experiment) return { body: experimentView(experiment) };
        throw noExperiment(params.experiment);
      },
    }),
  ];
}

function changeRoutes({ experiments }: Dependencies): Route[] {
  return [
    defineRoute({
      ...nothing,
      method: 'post',
      path: '/api/v1/experiments',
      operationId: 'createExperiment',
      summary: 'Make an experiment; one of the name of each model is there by itself',
      tag: 'experiments',
      audit: 'experiment.create',
      body: jsonBody(createExperimentSchema, bodyLimit, true),
      success: json(experimentViewSchema, 'The experiment', 201),
      problems: ['bad_request', 'unsupported_type', 'conflict', 'database_unavailable'],
      async handle({ body, request }) {
        const experiment = await experiments.create(body, actorOf(request));
        return {
          body: experimentView(experiment),
          headers: { Location: `/api/v1/experiments/${experiment.name}` },
        };
      },
    }),
    defineRoute({
      ...nothing,
      method: 'patch',
      path: '/api/v1/experiments/{experiment}',
      operationId: 'editExperiment',
      summary: 'Change description or tags; a tag that is null is removed',
      tag: 'experiments',
      audit: 'experiment.update',
      params: experimentParams,
      body: jsonBody(editExperimentSchema, bodyLimit, true),
      success: json(experimentViewSchema, 'The experiment as it is now'),
      problems: ['bad_request', 'unsupported_type', 'not_found', 'database_unavailable'],
      handle: async ({ params, body, request }) => ({
        body: experimentView(await experiments.update(params.experiment, body, actorOf(request))),
      }),
    }),
  ];
}

function searchRoute({ experiments }: Dependencies): Route {
  return defineRoute({
    ...nothing,
    method: 'get',
    path: '/api/v1/experiments/{experiment}/runs',
    operationId: 'searchRuns',
    summary: 'Runs of an experiment, or of all, that satisfy a filter',
    tag: 'experiments',
    params: z.object({ experiment: anyExperimentSchema }),
    query: searchQuery,
    success: json(pageOf(runSummaryViewSchema), 'A page of runs'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params, query }) {
      const experiment = params.experiment === anyExperiment ? null : params.experiment;
      const page = await experiments.searchRuns({
        experiment,
        filter: query.filter.trim() === '' ? null : parsed('filter', () => parseFilter(query.filter)),
        order: query.order_by.trim() === '' ? [] : parsed('order_by', () => parseOrder(query.order_by)),
        limit: query.limit,
        pageToken: query.page_token ?? null,
      });
      if (page.items.length === 0 && experiment !== null && !(await experiments.get(experiment))) {
        throw noExperiment(experiment);
      }
      return { body: { items: page.items.map(runSummaryView), next_page_token: page.nextPageToken } };
    },
  });
}

/** Says which query parameter it is that was not understood. */
function parsed<T>(name: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw invalidRequest([{ pointer: `query/${name}`, detail: messageOf(error) }]);
  }
}

function noExperiment(name: string): PerennialError {
  return new PerennialError('not_found', `There is no experiment ${name}; GET /api/v1/experiments lists them.`);
}

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
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import { experimentView, runSummaryView } from './run-view.js';
import type { ExperimentStore } from '../../stores/experiments/experiments.js';

interface Dependencies {
  experiments: Pick<ExperimentStore, 'create' | 'get' | 'list' | 'searchRuns' | 'update'>;
}

const bodyLimit = { maxBytes: 100_000 };
const experimentParams = z.object({ experiment: nameSchema });

/** Placeholder for any experiment in the path of a run; `-` is not a valid name. */
export const anyExperiment = '-';
export const anyExperimentSchema = z
  .union([z.literal(anyExperiment), nameSchema])
  .describe('name of the experiment; `-` is any');

const searchQuery = pageQuery.extend({
  page_token: z.string().max(8_000).optional().describe('`next_page_token` of the previous page, with the same order'),
  filter: z
    .string()
    .default('')
    .describe("for example `metrics.accuracy >= 0.9 and params.architecture = 'cnn'`; see docs/experiments.md"),
  order_by: z.string().default('').describe('for example `metrics.accuracy desc, started_at`; default: newest first'),
});

/** Experiments, and the search for their runs. */
export function experimentRoutes(dependencies: Dependencies): Route[] {
  return [...readRoutes(dependencies), ...changeRoutes(dependencies), searchRoute(dependencies)];
}

function readRoutes({ experiments }: Dependencies): Route[] {
  return [
    defineRoute({
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
      method: 'post',
      path: '/api/v1/experiments',
      operationId: 'createExperiment',
      summary: 'Create an experiment; each model has one of its name without that',
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
      method: 'patch',
      path: '/api/v1/experiments/{experiment}',
      operationId: 'editExperiment',
      summary: 'Change description or tags; null removes a tag',
      tag: 'experiments',
      audit: 'experiment.update',
      params: experimentParams,
      body: jsonBody(editExperimentSchema, bodyLimit, true),
      success: json(experimentViewSchema, 'The changed experiment'),
      problems: ['bad_request', 'unsupported_type', 'not_found', 'database_unavailable'],
      handle: async ({ params, body, request }) => ({
        body: experimentView(await experiments.update(params.experiment, body, actorOf(request))),
      }),
    }),
  ];
}

function searchRoute({ experiments }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/experiments/{experiment}/runs',
    operationId: 'searchRuns',
    summary: 'Runs of an experiment, or of all, that match a filter',
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

/** Names the invalid query parameter. */
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

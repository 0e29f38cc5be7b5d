import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { nameSchema } from '../../contracts/datasets/datasets.js';
import { errorCodeOf, PerennialError } from '../../contracts/errors.js';
import {
  searchSummaryViewSchema,
  searchViewSchema,
  startTuningSchema,
} from '../../contracts/experiments/http-tuning.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { fromSnake } from '../../contracts/http/snake-shape.js';
import { pageOf } from '../../contracts/http/page.js';
import { searchArtifacts } from '../../contracts/experiments/tuning.js';
import { searchArtifactKey } from '../../stores/objects/object-keys.js';
import type { SearchRecord, SearchStore } from '../../stores/experiments/searches.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, jsonBody, text, type Route } from '../http/route.js';
import { searchSummaryView, searchView } from './search-view.js';
import { recordStart, accepted } from '../workflows/accepted.js';
import type { ApiSettings } from '../http/settings.js';
import type { AuditStore } from '../../stores/audit/audit.js';
import type { Logger } from '../../platform/logging.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { PipelineStarter } from '../workflows/pipeline-starter.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';

interface Dependencies {
  starter: Pick<PipelineStarter, 'startTuning'>;
  searches: Pick<SearchStore, 'get' | 'list' | 'trials'>;
  objects: Pick<ObjectStore, 'get'>;
  audit: AuditStore;
  temporalUrl: TemporalUrl;
  settings: Pick<ApiSettings, 'datasetName' | 'modelName'>;
  logger: Logger;
}

const limit = { maxBytes: 100_000 };
const path = '/api/v1/searches/{run_id}';
const params = z.object({ run_id: z.string().max(200) });
const listQuery = pageQuery.extend({ model: nameSchema.optional() });

/** Hyperparameter searches. */
export function tuningRoutes(dependencies: Dependencies): Route[] {
  return [
    startRoute(dependencies),
    listRoute(dependencies),
    searchRoute(dependencies),
    fileRoute(dependencies, {
      path: `${path}/chart.svg`,
      operationId: 'getSearchChart',
      summary: 'Chart of its trials over the rungs',
      file: searchArtifacts.chart,
      contentType: 'image/svg+xml',
    }),
    fileRoute(dependencies, {
      path: `${path}/table.md`,
      operationId: 'getSearchTable',
      summary: 'Markdown table of its trials, best first',
      file: searchArtifacts.table,
      contentType: 'text/markdown',
    }),
  ];
}

function startRoute(dependencies: Dependencies): Route {
  const { starter, temporalUrl, settings } = dependencies;
  return defineRoute({
    method: 'post',
    path: '/api/v1/pipelines/tuning',
    operationId: 'startTuning',
    summary: 'Search for hyperparameters, and train a version with the best',
    tag: 'pipelines',
    audit: 'pipeline.start',
    body: jsonBody(startTuningSchema, limit),
    success: json(acceptedSchema, 'Started, or joined the one under way with the same inputs', 202),
    problems: ['bad_request', 'run_in_progress', 'unsupported_type', 'insufficient_storage', 'temporal_unavailable'],
    async handle({ body, request }) {
      const {
        modelName = settings.modelName,
        dataset = settings.datasetName,
        ...search
      } = fromSnake(startTuningSchema, body);
      const input = { modelName, dataset, trigger: 'manual', ...search } as const;
      const run = await starter.startTuning({ ...input, requestId: randomUUID() });
      await recordStart(dependencies, request, run, input);
      return accepted(run, temporalUrl);
    },
  });
}

function listRoute({ searches }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/searches',
    operationId: 'listSearches',
    summary: 'Hyperparameter searches, newest first',
    tag: 'experiments',
    query: listQuery,
    success: json(pageOf(searchSummaryViewSchema), 'A page of searches'),
    problems: ['bad_request', 'database_unavailable'],
    async handle({ query: { limit: size, page_token, model } }) {
      const page = await searches.list({
        limit: size,
        pageToken: page_token ?? null,
        ...(model !== undefined && { modelName: model }),
      });
      return { body: { items: page.items.map(searchSummaryView), next_page_token: page.nextPageToken } };
    },
  });
}

function searchRoute({ searches }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path,
    operationId: 'getSearch',
    summary: 'A search with its trials, their progress, and the best one',
    tag: 'experiments',
    params,
    success: json(searchViewSchema, 'The search'),
    problems: ['not_found', 'database_unavailable'],
    async handle({ params: { run_id } }) {
      const search = await searchOf(searches, run_id);
      return { body: searchView(search, await searches.trials(run_id)), headers: { 'Cache-Control': 'no-store' } };
    },
  });
}

interface SearchFile {
  path: string;
  operationId: string;
  summary: string;
  file: string;
  contentType: string;
}

function fileRoute({ searches, objects }: Dependencies, { file, contentType, ...route }: SearchFile): Route {
  return defineRoute({
    ...route,
    method: 'get',
    tag: 'experiments',
    params,
    success: text(contentType, 'State after the last finished rung'),
    problems: ['not_found', 'database_unavailable', 'object_store_unavailable'],
    async handle({ params: { run_id } }) {
      await searchOf(searches, run_id);
      const bytes = await objects.get(searchArtifactKey(run_id, file)).catch(unlessNotYet);
      return { body: Buffer.from(bytes).toString('utf8'), headers: { 'Cache-Control': 'no-store' } };
    },
  });
}

function unlessNotYet(error: unknown): never {
  if (errorCodeOf(error) !== 'not_found') throw error;
  throw new PerennialError('not_found', 'The search has not finished its first rung; try again later.');
}

async function searchOf(searches: Dependencies['searches'], runId: string): Promise<SearchRecord> {
  const search = await searches.get(runId);
  if (search) return search;
  throw new PerennialError('not_found', `There is no search ${runId}; GET /api/v1/searches lists them.`);
}

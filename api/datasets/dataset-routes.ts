import { z } from 'zod';
import { nameSchema } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import {
  datasetSummaryViewSchema,
  datasetVersionViewSchema,
  datasetViewSchema,
} from '../../contracts/datasets/http-datasets.js';
import { toSnake } from '../../contracts/http/snake-shape.js';
import { pageOf } from '../../contracts/http/page.js';
import { versionNumber } from '../../contracts/http/version-number.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, type Route } from '../http/route.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { SourceStore } from '../../stores/datasets/sources.js';
import type { SourcePresence } from '../../stores/objects/source-presence.js';
import { explainConflicts } from './explain-conflicts.js';

interface Dependencies {
  datasets: Pick<DatasetStore, 'detail' | 'list' | 'versionDetail'>;
  sources: Pick<SourceStore, 'conflicts'>;
  sourcePresence: SourcePresence;
}

/** Datasets and their versions, read-only. */
export function datasetRoutes({ datasets, ...sources }: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: '/api/v1/datasets',
      operationId: 'listDatasets',
      summary: 'Datasets by name',
      tag: 'datasets',
      query: pageQuery,
      success: json(pageOf(datasetSummaryViewSchema), 'A page of datasets'),
      problems: ['bad_request', 'database_unavailable'],
      async handle({ query }) {
        const page = await datasets.list({ limit: query.limit, pageToken: query.page_token ?? null });
        const items = page.items.map((dataset) => toSnake(datasetSummaryViewSchema, dataset));
        return { body: { items, next_page_token: page.nextPageToken } };
      },
    }),
    defineRoute({
      method: 'get',
      path: '/api/v1/datasets/{name}',
      operationId: 'getDataset',
      summary: 'A dataset with its sources and versions',
      tag: 'datasets',
      params: z.object({ name: nameSchema }),
      success: json(datasetViewSchema, 'The dataset'),
      problems: ['bad_request', 'not_found', 'database_unavailable'],
      async handle({ params }) {
        const dataset = await datasets.detail(params.name);
        if (dataset) return { body: toSnake(datasetViewSchema, dataset) };
        throw new PerennialError('not_found', `There is no dataset ${params.name}. Ingest images to create it.`);
      },
    }),
    defineRoute({
      method: 'get',
      path: '/api/v1/datasets/{name}/versions/{version}',
      operationId: 'getDatasetVersion',
      summary: 'A version of a dataset: statistics, quarantined files, conflicts, sources',
      tag: 'datasets',
      params: z.object({ name: nameSchema, version: versionNumber }),
      success: json(datasetVersionViewSchema, 'The version'),
      problems: ['bad_request', 'not_found', 'database_unavailable'],
      async handle({ params }) {
        const detail = await datasets.versionDetail(params.name, params.version);
        const conflicts = await explainConflicts(sources, detail);
        return { body: toSnake(datasetVersionViewSchema, { ...detail, conflicts }) };
      },
    }),
  ];
}

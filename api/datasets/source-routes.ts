import { z } from 'zod';
import { datasetChangeSchema, reasonSchema } from '../../contracts/datasets/corrections.js';
import { nameSchema } from '../../contracts/datasets/datasets.js';
import { datasetSourceViewSchema, sourceIdSchema } from '../../contracts/datasets/sources.js';
import { pageOf } from '../../contracts/http/page.js';
import { toSnake } from '../../contracts/http/snake-shape.js';
import type { DatasetEdits } from '../../stores/datasets/dataset-edits.js';
import type { SourceDetail, SourceStore } from '../../stores/datasets/sources.js';
import { actorOf } from '../access/actor.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, type Route } from '../http/route.js';
import { announceChange, planChange, type ChangePublisher } from './change-dataset.js';
import type { SourcePresence } from '../../stores/objects/source-presence.js';
import { isMissing } from './source-presence.js';

interface Dependencies extends ChangePublisher {
  sources: Pick<SourceStore, 'get' | 'list'>;
  datasetEdits: Pick<DatasetEdits, 'detach'>;
  sourcePresence: SourcePresence;
}

const sourcesPath = '/api/v1/datasets/{name}/sources';
const sourceParams = z.object({ name: nameSchema, source_id: sourceIdSchema });

/** The sources of a dataset: list, look at one, detach one. */
export function sourceRoutes(dependencies: Dependencies): Route[] {
  return [...readRoutes(dependencies), detachRoute(dependencies)];
}

function readRoutes({ sources, sourcePresence }: Dependencies): Route[] {
  const view = (source: SourceDetail): ReturnType<typeof sourceView> => sourceView(sourcePresence, source);
  return [
    defineRoute({
      method: 'get',
      path: sourcesPath,
      operationId: 'listDatasetSources',
      summary: 'Sources of a dataset with what their last scan found, newest first; detached ones too',
      tag: 'datasets',
      params: z.object({ name: nameSchema }),
      query: pageQuery,
      success: json(pageOf(datasetSourceViewSchema), 'A page of sources'),
      problems: ['bad_request', 'not_found', 'database_unavailable'],
      async handle({ params, query: { limit, page_token: pageToken = null } }) {
        const page = await sources.list(params.name, { limit, pageToken });
        return { body: { items: await Promise.all(page.items.map(view)), next_page_token: page.nextPageToken } };
      },
    }),
    defineRoute({
      method: 'get',
      path: `${sourcesPath}/{source_id}`,
      operationId: 'getDatasetSource',
      summary: 'A source of a dataset',
      tag: 'datasets',
      params: sourceParams,
      success: json(datasetSourceViewSchema, 'The source'),
      problems: ['bad_request', 'not_found', 'database_unavailable'],
      handle: async ({ params: { name, source_id: id } }) => ({ body: await view(await sources.get(name, id)) }),
    }),
  ];
}

function detachRoute(dependencies: Dependencies): Route {
  return defineRoute({
    method: 'delete',
    path: `${sourcesPath}/{source_id}`,
    operationId: 'detachDatasetSource',
    summary: 'Detach a source: its images leave the dataset, unless another source holds them',
    tag: 'datasets',
    audit: 'source.detach',
    params: sourceParams,
    query: z.object({ reason: reasonSchema.optional() }),
    success: json(datasetChangeSchema, 'The version without the source'),
    problems: ['bad_request', 'not_found', 'conflict', 'database_unavailable'],
    async handle({ params: { name: dataset, source_id: sourceId }, query: { reason = null }, request }) {
      const detaching = { dataset, sourceId, reason, by: actorOf(request) };
      const edited = await dependencies.datasetEdits.detach(detaching, planChange(dataset));
      return { body: await announceChange(dependencies, dataset, edited) };
    },
  });
}

async function sourceView(
  presence: SourcePresence,
  source: SourceDetail,
): Promise<z.input<typeof datasetSourceViewSchema>> {
  return toSnake(datasetSourceViewSchema, {
    ...source,
    state: source.isAttached ? 'attached' : 'detached',
    missing: await isMissing(presence, source),
  });
}

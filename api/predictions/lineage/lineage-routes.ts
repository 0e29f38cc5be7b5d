import { z } from 'zod';
import { PerennialError } from '../../../contracts/errors.js';
import { toSnake } from '../../../contracts/http/snake-shape.js';
import { pageOf } from '../../../contracts/http/page.js';
import {
  lineageImageViewSchema,
  lineageQuery,
  lineageViewSchema,
} from '../../../contracts/predictions/http-predictions.js';
import { findPrediction, type PredictionLookup } from '../find-prediction.js';
import { lineageGraph } from './graph.js';
import { verifyLineage, type VerifyingStores } from './verify.js';
import { pageQuery } from '../../http/page-query.js';
import { defineRoute, json, type Route } from '../../http/route.js';
import type { LineageStore } from '../../../stores/predictions/lineage.js';
import type { TemporalUrl } from '../../workflows/temporal-url.js';

interface Dependencies extends PredictionLookup, VerifyingStores {
  lineage: Pick<LineageStore, 'facts' | 'examples' | 'images' | 'sampleImages'>;
  temporalUrl: TemporalUrl;
}

const params = z.object({ id: z.uuid() });

/** Lineage of predictions. */
export function lineageRoutes(deps: Dependencies): Route[] {
  return [lineageRoute(deps), lineageImagesRoute(deps)];
}

function lineageRoute(deps: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/predictions/{id}/lineage',
    operationId: 'getLineage',
    summary: 'Lineage of a prediction, down to images and code',
    tag: 'predictions',
    params,
    query: lineageQuery,
    success: json(lineageViewSchema, 'A graph whose edges can be verified'),
    problems: ['bad_request', 'not_found', 'database_unavailable', 'object_store_unavailable'],
    async handle({ params: { id }, query: { verify } }) {
      const prediction = await findPrediction(deps, id);
      const facts = await deps.lineage.facts(prediction);
      const graph = lineageGraph(prediction, facts, deps.temporalUrl);
      const scope = verify === 'full' ? 'full' : 'sample';
      const edges = verify === 'false' ? graph.edges : await verifyLineage(graph, prediction, facts, deps, scope);
      const verified = verify !== 'false' && edges.every(({ state }) => state !== 'failed');
      return { body: { prediction_id: id, verified, nodes: graph.nodes, edges } };
    },
  });
}

function lineageImagesRoute(deps: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/predictions/{id}/lineage/images',
    operationId: 'listLineageImages',
    summary: 'The images of the dataset version behind a prediction, by digest',
    tag: 'predictions',
    params,
    query: pageQuery.extend({ page_token: z.string().length(64).optional() }),
    success: json(pageOf(lineageImageViewSchema), 'A page of images'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params: { id }, query }) {
      const prediction = await findPrediction(deps, id);
      const { dataset } = await deps.lineage.facts(prediction);
      if (!dataset) throw new PerennialError('not_found', `The dataset behind prediction ${id} is unknown.`);
      const { limit, page_token: pageToken = null } = query;
      const page = await deps.lineage.images(dataset.dataset, dataset.version, { limit, pageToken });
      const items = page.items.map((image) => toSnake(lineageImageViewSchema, image));
      return { body: { items, next_page_token: page.nextPageToken } };
    },
  });
}

import { z } from 'zod';
import { nameSchema } from '../../contracts/datasets/datasets.js';
import {
  deletedDatasetVersionSchema,
  erasureViewSchema,
  requestErasureSchema,
} from '../../contracts/predictions/http-predictions.js';
import { toSnake } from '../../contracts/http/snake-shape.js';
import { pageOf } from '../../contracts/http/page.js';
import { versionNumber } from '../../contracts/http/version-number.js';
import { erasureKinds } from '../../contracts/predictions/predictions.js';
import { deleteDatasetVersion, type DatasetDeletion } from '../../stores/datasets/dataset-deletion.js';
import { erase, type ErasureStores } from '../../stores/erasure/run-erasure.js';
import type { Erasure, ErasureStore } from '../../stores/erasure/erasures.js';
import { actorOf } from '../access/actor.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import type { PredictionLog } from '../predictions/log/prediction-log.js';

interface Dependencies extends ErasureStores {
  erasures: Pick<ErasureStore, 'list'> & ErasureStores['erasures'];
  deletion: DatasetDeletion;
  predictionLog: Pick<PredictionLog, 'flush'>;
}

/** Deletion of unreferenced data, and erasure on request. */
export function erasureRoutes(deps: Dependencies): Route[] {
  return [requestErasureRoute(deps), listErasuresRoute(deps), deleteVersionRoute(deps)];
}

function requestErasureRoute(deps: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: '/api/v1/erasures',
    operationId: 'requestErasure',
    summary: 'Erase a prediction, an image, a dataset or a model; a tombstone stays',
    tag: 'administration',
    body: jsonBody(requestErasureSchema, { maxBytes: 10_000 }, true),
    success: {
      ...json(erasureViewSchema, 'The erasure; 202 while objects are still being deleted'),
      otherStatuses: [202],
    },
    problems: ['bad_request', 'not_found', 'conflict', 'referenced', 'unsupported_type', 'database_unavailable'],
    audit: 'erasure.add',
    async handle({ body: { kind, id, reason }, request }) {
      // Predictions still in the journal would be written after the erasure: flush them first.
      await deps.predictionLog.flush();
      const erasure = await erase(deps, { kind, subject: id, reason }, actorOf(request));
      return { body: erasureView(erasure), status: erasure.pendingObjects > 0 ? 202 : 200 };
    },
  });
}

function listErasuresRoute({ erasures }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/erasures',
    operationId: 'listErasures',
    summary: 'Erasures, newest first',
    tag: 'administration',
    query: pageQuery.extend({ kind: z.enum(erasureKinds).optional() }),
    success: json(pageOf(erasureViewSchema), 'A page of tombstones'),
    problems: ['bad_request', 'database_unavailable'],
    async handle({ query: { limit, page_token: pageToken = null, kind } }) {
      const page = await erasures.list({ limit, pageToken, kind });
      return { body: { items: page.items.map(erasureView), next_page_token: page.nextPageToken } };
    },
  });
}

function deleteVersionRoute(deps: Dependencies): Route {
  return defineRoute({
    method: 'delete',
    path: '/api/v1/datasets/{name}/versions/{version}',
    operationId: 'deleteDatasetVersion',
    summary: 'Delete a version of a dataset that no model was trained on',
    tag: 'datasets',
    params: z.object({ name: nameSchema, version: versionNumber }),
    success: json(deletedDatasetVersionSchema, 'The deleted version'),
    problems: [
      'bad_request',
      'not_found',
      'conflict',
      'referenced',
      'database_unavailable',
      'object_store_unavailable',
    ],
    audit: 'dataset_version.delete',
    async handle({ params: { name, version }, request }) {
      const { digest } = await deleteDatasetVersion(deps, name, version, actorOf(request));
      return { body: { dataset: name, version, digest } };
    },
  });
}

function erasureView(erasure: Erasure): z.input<typeof erasureViewSchema> {
  return toSnake(erasureViewSchema, {
    ...erasure,
    erasureId: erasure.id,
    id: erasure.subject,
    status: erasure.pendingObjects > 0 ? 'pending' : 'done',
  });
}

import { hash } from 'node:crypto';
import { z } from 'zod';
import { bundleFiles } from '../../contracts/registry/bundle.js';
import { nameSchema } from '../../contracts/datasets/datasets.js';
import { errorCodeOf, PerennialError } from '../../contracts/errors.js';
import { changeStageSchema, deletedVersionSchema, editVersionSchema } from '../../contracts/registry/http-models.js';
import { modelVersionViewSchema } from '../../contracts/registry/http-versions.js';
import { pageOf } from '../../contracts/http/page.js';
import { versionNumber } from '../../contracts/http/version-number.js';
import {
  stageSchema,
  versionReferenceSchema,
  type ModelVersion,
  type RegisteredVersion,
} from '../../contracts/registry/registry.js';
import { deleteVersion, type DeletionStores } from '../../stores/registry/delete-version.js';
import { actorOf } from '../access/actor.js';
import { pageQuery } from '../http/page-query.js';
import { allowedRevisions, revisionTag } from './version-etag.js';
import { defineRoute, json, jsonBody, text, type Reply, type Route } from '../http/route.js';
import { describeRemeasurement } from './describe-remeasurement.js';
import { modelVersionView, modelVersionViews } from './version-view.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { RegistryStore } from '../../stores/registry/registry.js';

interface Dependencies extends DeletionStores {
  registry: Pick<RegistryStore, 'edit' | 'list' | 'resolve' | 'resolveAny' | 'remeasurements' | 'setStage'> &
    DeletionStores['registry'];
  objects: Pick<ObjectStore, 'get'> & DeletionStores['objects'];
}

const versionPath = '/api/v1/mlops/models/{name}/versions/{version}';
const versionParams = z.object({ name: nameSchema, version: versionReferenceSchema });
const bodyLimit = { maxBytes: 100_000 };

/** Versions of models: details, edits, stages, deletion. */
export function modelVersionRoutes(dependencies: Dependencies): Route[] {
  return [
    listRoute(dependencies),
    getRoute(dependencies),
    editRoute(dependencies),
    stageRoute(dependencies),
    deleteRoute(dependencies),
    modelCardRoute(dependencies),
  ];
}

/** A tag key, or key and value; keys contain no colon. */
const tagFilterSchema = z
  .string()
  .max(1200)
  .regex(/^[\w./-]{1,100}(:|$)/, 'a key, or key:value')
  .transform((filter) => {
    const colon = filter.indexOf(':');
    return colon < 0 ? { key: filter, value: null } : { key: filter.slice(0, colon), value: filter.slice(colon + 1) };
  });

function listRoute({ registry }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/mlops/models/{name}/versions',
    operationId: 'listModelVersions',
    summary: 'Versions of a model, newest first',
    tag: 'models',
    params: z.object({ name: nameSchema }),
    query: pageQuery.extend({
      stage: stageSchema.optional(),
      tag: tagFilterSchema.optional().describe('`key` or `key:value`'),
    }),
    success: json(pageOf(modelVersionViewSchema), 'A page of versions with stage, metrics and decision'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params, query: { limit, page_token: pageToken, stage, tag } }) {
      const page = await registry.list(params.name, { limit, pageToken: pageToken ?? null, stage, tag });
      const items = await modelVersionViews(registry, params.name, page.items);
      return { body: { items, next_page_token: page.nextPageToken } };
    },
  });
}

function getRoute({ registry }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: versionPath,
    operationId: 'getModelVersion',
    summary: 'A version, by its number or @alias',
    tag: 'models',
    params: versionParams,
    success: json(modelVersionViewSchema, 'The version; send its ETag as If-Match'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    handle: async ({ params }) => withTag(registry, await registry.resolveAny(params.name, params.version)),
  });
}

function editRoute({ registry }: Dependencies): Route {
  return defineRoute({
    method: 'patch',
    path: versionPath,
    operationId: 'editModelVersion',
    summary: 'Change description, tags or semantic version; If-Match prevents lost updates',
    tag: 'models',
    audit: 'version.edit',
    params: versionParams,
    body: jsonBody(editVersionSchema, bodyLimit, true),
    success: json(modelVersionViewSchema, 'The changed version'),
    problems: ['bad_request', 'not_found', 'conflict', 'precondition_failed', 'database_unavailable'],
    async handle({ params, body: { description, tags, semantic_version: semanticVersion }, request }) {
      const { version } = await registry.resolveAny(params.name, params.version);
      const context = { by: actorOf(request), ifRevision: allowedRevisions(request, version) };
      return withTag(
        registry,
        await registry.edit(params.name, version, { description, tags, semanticVersion }, context),
      );
    },
  });
}

function stageRoute({ registry }: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: `${versionPath}/stage`,
    operationId: 'changeModelVersionStage',
    summary: 'Move a version to None, Staging or Archived; Staging makes an archived version promotable again',
    tag: 'models',
    audit: 'version.stage',
    params: versionParams,
    body: jsonBody(changeStageSchema, bodyLimit, true),
    success: json(modelVersionViewSchema, 'The changed version'),
    problems: [
      'bad_request',
      'not_found',
      'conflict',
      'version_without_file',
      'precondition_failed',
      'database_unavailable',
    ],
    async handle({ params, body: { stage, reason }, request }) {
      if (stage === 'Production') {
        throw new PerennialError(
          'bad_request',
          'A version goes to Production by promotion, which checks it: POST /api/v1/mlops/models/promote.',
        );
      }
      const { version } = await registry.resolveAny(params.name, params.version);
      const context = { by: actorOf(request), ifRevision: allowedRevisions(request, version) };
      return withTag(registry, await registry.setStage(params.name, version, { stage, reason }, context));
    },
  });
}

function deleteRoute(dependencies: Dependencies): Route {
  return defineRoute({
    method: 'delete',
    path: versionPath,
    operationId: 'deleteModelVersion',
    summary: 'Delete an unreferenced version and its bundle',
    tag: 'models',
    audit: 'version.delete',
    params: z.object({ name: nameSchema, version: versionNumber }),
    query: z.object({ reason: z.string().trim().min(1).max(1000).default('no reason given') }),
    success: json(deletedVersionSchema, 'The deletion: actor and time'),
    problems: [
      'bad_request',
      'not_found',
      'referenced',
      'precondition_failed',
      'database_unavailable',
      'object_store_unavailable',
    ],
    async handle({ params: { name: modelName, version }, query: { reason }, request }) {
      const ifRevision = allowedRevisions(request, version);
      const deletion = { modelName, version, by: actorOf(request), reason, ifRevision };
      const { deletedAt, deletedBy } = await deleteVersion(dependencies, deletion);
      return {
        body: { model_name: modelName, version: String(version), deleted_at: deletedAt, deleted_by: deletedBy },
      };
    },
  });
}

function modelCardRoute({ registry, objects }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: `${versionPath}/model-card`,
    operationId: 'getModelCard',
    summary: 'Model card: data, metrics, limits, licences',
    tag: 'models',
    params: versionParams,
    success: text('text/markdown', 'The model card from its bundle, and what is known of the version since'),
    problems: ['bad_request', 'not_found', 'version_without_file', 'database_unavailable', 'object_store_unavailable'],
    async handle({ params }) {
      const version = await registry.resolve(params.name, params.version);
      const card = await objects.get(`${version.bundleKey}/${bundleFiles.modelCard}`).catch((error: unknown) => {
        throw errorCodeOf(error) === 'not_found' ? hasNoCard(version) : error;
      });
      const again = (await registry.remeasurements(version.modelName, [version.version])).get(version.version);
      const body = Buffer.from(card).toString('utf8') + (again ? describeRemeasurement(version, again) : '');
      const tag = hash('sha256', `${version.bundleSha256}${again?.measuredAt ?? ''}`).slice(0, 32);
      return { body, headers: { ETag: `"${tag}"`, 'Content-Type': 'text/markdown; charset=utf-8' } };
    },
  });
}

function hasNoCard({ modelName, version }: ModelVersion): PerennialError {
  return new PerennialError(
    'not_found',
    `The bundle of version ${version} of ${modelName} has no model card, or was deleted from the object store.`,
  );
}

async function withTag(
  registry: Dependencies['registry'],
  version: RegisteredVersion,
): Promise<Reply<z.input<typeof modelVersionViewSchema>>> {
  const body = await modelVersionView(registry, version);
  return { body, headers: { ETag: revisionTag(version), 'Cache-Control': 'no-cache' } };
}

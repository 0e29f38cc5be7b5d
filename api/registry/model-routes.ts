import { z } from 'zod';
import { nameSchema } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import {
  aliasViewSchema,
  modelSummaryViewSchema,
  productionChangeViewSchema,
  setAliasSchema,
  versionComparisonSchema,
} from '../../contracts/registry/http-models.js';
import { pageOf } from '../../contracts/http/page.js';
import { aliasSchema, computedAliases, versionReferenceSchema } from '../../contracts/registry/registry.js';
import { compareVersions } from '../../domain/registry/compare-versions.js';
import { actorOf } from '../access/actor.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import { aliasView, modelSummaryView, productionChangeView, versionComparisonView } from './model-view.js';
import type { RegistryStore } from '../../stores/registry/registry.js';

interface Dependencies {
  registry: Pick<
    RegistryStore,
    'aliases' | 'deleteAlias' | 'productionAt' | 'productionMoves' | 'resolve' | 'setAlias' | 'summaries' | 'summary'
  >;
}

const modelParams = z.object({ name: nameSchema });

/** Models: list, aliases, comparison of versions, history of Production. */
export function modelRegistryRoutes(dependencies: Dependencies): Route[] {
  return [
    listRoute(dependencies),
    getRoute(dependencies),
    compareRoute(dependencies),
    historyRoute(dependencies),
    listAliasesRoute(dependencies),
    setAliasRoute(dependencies),
    deleteAliasRoute(dependencies),
  ];
}

function listRoute({ registry }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/mlops/models',
    operationId: 'listModels',
    summary: 'Models by name, with their Production version',
    tag: 'models',
    query: pageQuery,
    success: json(pageOf(modelSummaryViewSchema), 'A page of models'),
    problems: ['bad_request', 'database_unavailable'],
    async handle({ query }) {
      const page = await registry.summaries({ limit: query.limit, pageToken: query.page_token ?? null });
      return { body: { items: page.items.map(modelSummaryView), next_page_token: page.nextPageToken } };
    },
  });
}

function getRoute({ registry }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/mlops/models/{name}',
    operationId: 'getModel',
    summary: 'A model: its versions, what is in Production, and whether it was retired',
    tag: 'models',
    params: modelParams,
    success: json(modelSummaryViewSchema, 'The model'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    handle: async ({ params }) => ({ body: modelSummaryView(await registry.summary(params.name)) }),
  });
}

const comparedVersions = z
  .string()
  .max(1000)
  .transform((list) => [...new Set(list.split(',').map((reference) => reference.trim()))])
  .pipe(z.array(versionReferenceSchema).min(2, 'name at least two versions').max(10, 'at most ten versions'));

function compareRoute({ registry }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/mlops/models/{name}/compare',
    operationId: 'compareModelVersions',
    summary: 'Compare versions: metrics, classes, differences, and whether the test images are the same',
    tag: 'models',
    params: modelParams,
    query: z.object({ versions: comparedVersions.describe('two to ten, for example `1,2` or `@production,7`') }),
    success: json(versionComparisonSchema, 'The comparison; differences are relative to the first version'),
    problems: ['bad_request', 'not_found', 'version_without_file', 'database_unavailable'],
    async handle({ params, query }) {
      const versions = await Promise.all(query.versions.map((reference) => registry.resolve(params.name, reference)));
      return { body: versionComparisonView(params.name, versions, compareVersions(versions)) };
    },
  });
}

function historyRoute({ registry }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/mlops/models/{name}/history',
    operationId: 'getProductionHistory',
    summary: 'History of Production: version, time, actor, reason, replaced version',
    tag: 'models',
    params: modelParams,
    query: pageQuery.extend({
      at: z.iso.datetime({ offset: true }).optional().describe('only the version in Production at that time'),
    }),
    success: json(
      pageOf(productionChangeViewSchema),
      'Changes of Production, newest first; with `at` the last one before that time, or none',
    ),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params, query: { at, limit, page_token: pageToken } }) {
      if (at !== undefined) {
        const move = await registry.productionAt(params.name, new Date(at));
        return { body: { items: move ? [productionChangeView(move)] : [], next_page_token: null } };
      }
      const page = await registry.productionMoves(params.name, { limit, pageToken: pageToken ?? null });
      return { body: { items: page.items.map(productionChangeView), next_page_token: page.nextPageToken } };
    },
  });
}

function listAliasesRoute({ registry }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/mlops/models/{name}/aliases',
    operationId: 'listModelAliases',
    summary: 'Aliases of versions',
    tag: 'models',
    params: modelParams,
    success: json(z.object({ items: z.array(aliasViewSchema) }), 'All aliases by name'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    handle: async ({ params }) => ({ body: { items: (await registry.aliases(params.name)).map(aliasView) } }),
  });
}

const aliasPath = '/api/v1/mlops/models/{name}/aliases/{alias}';
const aliasParams = z.object({ name: nameSchema, alias: aliasSchema });

function setAliasRoute({ registry }: Dependencies): Route {
  return defineRoute({
    method: 'put',
    path: aliasPath,
    operationId: 'setModelAlias',
    summary: 'Set an alias to a version',
    tag: 'models',
    audit: 'alias.set',
    params: aliasParams,
    body: jsonBody(setAliasSchema, { maxBytes: 10_000 }, true),
    success: json(aliasViewSchema, 'The changed alias'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params: { name, alias }, body, request }) {
      refuseComputed(alias);
      return { body: aliasView(await registry.setAlias(name, alias, body.version, actorOf(request))) };
    },
  });
}

function deleteAliasRoute({ registry }: Dependencies): Route {
  return defineRoute({
    method: 'delete',
    path: aliasPath,
    operationId: 'deleteModelAlias',
    summary: 'Delete an alias',
    tag: 'models',
    audit: 'alias.delete',
    params: aliasParams,
    success: json(aliasViewSchema, 'The deleted alias'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params: { name, alias }, request }) {
      refuseComputed(alias);
      return { body: aliasView(await registry.deleteAlias(name, alias, actorOf(request))) };
    },
  });
}

function refuseComputed(alias: string): void {
  if (!computedAliases.some((computed) => computed === alias)) return;
  throw new PerennialError(
    'bad_request',
    `The alias ${alias} is computed: a promotion moves production, a registration moves latest. Choose another name.`,
  );
}

import {
  v2LiveSchema,
  v2ModelReadySchema,
  v2ModelSchema,
  v2ReadySchema,
  v2ServerSchema,
} from '../../../contracts/inference/http-v2.js';
import { errorCodeOf, type ErrorCode } from '../../../contracts/errors.js';
import { defineRoute, json, type Route } from '../../http/route.js';
import { findModel, modelMetadata, type ModelPath } from './models.js';
import { modelPaths, type Path } from './paths.js';
import { inferRoute } from './infer-routes.js';
import type { ApiSettings } from '../../http/settings.js';
import type { Predictor } from '../predictor.js';
import type { ServingHost } from '../../model-host/served-model.js';

interface Dependencies {
  host: ServingHost;
  predictor: Pick<Predictor, 'admit' | 'image' | 'pixels'>;
  settings: Pick<ApiSettings, 'modelName' | 'version'>;
}

const extensions = ['binary_tensor_data', 'classification'] as const;

/** The Open Inference Protocol, version 2, with binary tensors and the classification extension. */
export function v2Routes(deps: Dependencies): Route[] {
  return [
    ...serverRoutes(deps),
    ...modelPaths.flatMap((path) => [metadataRoute(deps, path), readyRoute(deps, path), inferRoute(deps, path)]),
  ];
}

function serverRoutes({ host, settings }: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: '/v2',
      operationId: 'getV2Server',
      summary: 'Server metadata of the Open Inference Protocol',
      tag: 'serving',
      success: json(v2ServerSchema, 'Name, version and extensions'),
      problems: [],
      handle: () => ({ body: { name: 'perennial', version: settings.version, extensions: [...extensions] } }),
    }),
    defineRoute({
      method: 'get',
      path: '/v2/health/live',
      operationId: 'getV2Liveness',
      summary: 'Server liveness',
      tag: 'serving',
      kind: 'probe',
      success: json(v2LiveSchema, 'It does'),
      problems: [],
      handle: () => ({ body: { live: true } }),
    }),
    defineRoute({
      method: 'get',
      path: '/v2/health/ready',
      operationId: 'getV2Readiness',
      summary: 'Model readiness',
      tag: 'serving',
      kind: 'probe',
      success: { ...json(v2ReadySchema, 'Ready; 503 with the same body if no model is loaded'), otherStatuses: [503] },
      problems: [],
      handle() {
        const ready = host.current() !== null;
        return { body: { ready, live: true }, status: ready ? 200 : 503 };
      },
    }),
  ];
}

function metadataRoute(deps: Dependencies, { prefix, suffix, params }: Path): Route {
  return defineRoute({
    method: 'get',
    path: prefix,
    operationId: `getV2Model${suffix}`,
    summary: 'Inputs and outputs of a model',
    tag: 'serving',
    params,
    success: json(v2ModelSchema, 'Tensors and served version'),
    problems: ['not_found', 'no_model', 'model_retired'],
    handle: ({ params: path }) => ({ body: modelMetadata(findModel(deps, path)) }),
  });
}

function readyRoute(deps: Dependencies, { prefix, suffix, params }: Path): Route {
  return defineRoute({
    method: 'get',
    path: `${prefix}/ready`,
    operationId: `getV2Model${suffix}Readiness`,
    summary: 'Model readiness',
    tag: 'serving',
    params,
    success: { ...json(v2ModelReadySchema, 'Ready; 503 with the same body if not'), otherStatuses: [503] },
    problems: ['not_found'],
    handle: ({ params: path }) => {
      const ready = isReady(deps, path);
      return { body: { name: path.model_name, ready }, status: ready ? 200 : 503 };
    },
  });
}

const notServed: readonly ErrorCode[] = ['no_model', 'model_retired'];

function isReady(deps: Dependencies, path: ModelPath): boolean {
  try {
    findModel(deps, path);
    return true;
  } catch (error) {
    if (notServed.includes(errorCodeOf(error))) return false;
    throw error;
  }
}

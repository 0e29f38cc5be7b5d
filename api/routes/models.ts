import { z } from 'zod';
import { onnxNames } from '../../contracts/bundle.js';
import { nameSchema } from '../../contracts/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { modelVersionViewSchema } from '../../contracts/http-records.js';
import { modelInfoSchema, pageOf } from '../../contracts/http.js';
import { inputSize } from '../../contracts/training.js';
import type { ApiDependencies } from '../dependencies.js';
import type { ServedModel } from '../model-host.js';
import { pageQuery } from '../page-query.js';
import { defineRoute, json, nothing, type Route } from '../route.js';
import { evaluationView, modelVersionView } from '../views/model-version.js';
import { modelOf } from './prediction.js';

/** What is served, and the versions there are. */
export function modelRoutes({
  host,
  registry,
  settings,
}: Pick<ApiDependencies, 'host' | 'registry' | 'settings'>): Route[] {
  return [
    defineRoute({
      ...nothing,
      method: 'get',
      path: '/model/info',
      operationId: 'getModelInfo',
      summary: 'The model being served',
      tag: 'serving',
      success: json(modelInfoSchema, 'Its version, classes, origin and test metrics'),
      problems: ['no_model'],
      handle() {
        const served = modelOf(host.current(), settings.modelName);
        // Weak: replicas that serve the same bundle differ in when they loaded it.
        const tag = `W/"${served.version.bundleSha256.slice(0, 16)}-${served.generation}"`;
        return { body: modelInfo(served), headers: { ETag: tag, 'Cache-Control': 'no-cache' } };
      },
    }),
    defineRoute({
      ...nothing,
      method: 'get',
      path: '/api/v1/mlops/models/{name}/versions',
      operationId: 'listModelVersions',
      summary: 'Versions of a model, newest first',
      tag: 'models',
      params: z.object({ name: nameSchema }),
      query: pageQuery,
      success: json(pageOf(modelVersionViewSchema), 'A page of versions with stage, metrics and decision'),
      problems: ['bad_request', 'not_found', 'database_unavailable'],
      async handle({ params, query }) {
        const page = await registry.list(params.name, { limit: query.limit, pageToken: query.page_token ?? null });
        // A model comes into being with its first version, so that an empty first page means there is none.
        if (page.items.length === 0 && query.page_token === undefined) {
          throw new PerennialError('not_found', `There is no model ${params.name}. It is made by its first training.`);
        }
        return { body: { items: page.items.map(modelVersionView), next_page_token: page.nextPageToken } };
      },
    }),
  ];
}

function modelInfo({ version, engine, generation, loadedAt }: ServedModel): z.input<typeof modelInfoSchema> {
  return {
    model_name: version.modelName,
    model_version: String(version.version),
    stage: version.stage,
    architecture: version.architecture,
    labels: [...engine.labels],
    input: { name: onnxNames.image, datatype: 'UINT8', shape: [-1, inputSize, inputSize, 3] },
    dataset: version.dataset,
    dataset_version: version.datasetVersion,
    run_id: version.runId,
    bundle_sha256: version.bundleSha256,
    size_bytes: version.sizeBytes,
    generation,
    loaded_at: loadedAt.toISOString(),
    metrics: evaluationView(version.evaluation),
  };
}

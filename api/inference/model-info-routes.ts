import type { z } from 'zod';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { modelInfoSchema } from '../../contracts/inference/http-predict.js';
import { toSnake } from '../../contracts/http/snake-shape.js';
import { evaluationViewSchema } from '../../contracts/registry/http-versions.js';
import { inputSize } from '../../contracts/training/training.js';
import { type ServedModel, modelOf, type ServingHost } from '../model-host/served-model.js';
import { defineRoute, json, type Route } from '../http/route.js';
import { abstentionOf } from '../registry/calibration-view.js';
import type { ApiSettings } from '../http/settings.js';

interface Dependencies {
  host: ServingHost;
  settings: Pick<ApiSettings, 'modelName'>;
}

/** The served model. */
export function modelRoutes({ host, settings }: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: '/model/info',
      operationId: 'getModelInfo',
      summary: 'The served model',
      tag: 'serving',
      success: json(modelInfoSchema, 'Version, classes, origin and test metrics'),
      problems: ['no_model', 'model_retired'],
      handle() {
        const served = modelOf(host, settings.modelName);
        // Weak: replicas that serve the same bundle differ in `loaded_at`.
        const tag = `W/"${served.version.bundleSha256.slice(0, 16)}-${served.generation}-${served.serving.targetRisk}"`;
        return { body: modelInfo(served), headers: { ETag: tag, 'Cache-Control': 'no-cache' } };
      },
    }),
  ];
}

function modelInfo({
  version,
  engine,
  generation,
  loadedAt,
  abstention,
}: ServedModel): z.input<typeof modelInfoSchema> {
  return toSnake(modelInfoSchema, {
    ...version,
    modelVersion: version.version,
    labels: [...engine.labels],
    variant: engine.variant,
    input: { name: onnxNames.image, datatype: 'UINT8', shape: [-1, inputSize, inputSize, 3] },
    generation,
    loadedAt: loadedAt.toISOString(),
    metrics: toSnake(evaluationViewSchema, version.evaluation),
    calibration: {
      ...abstentionOf(abstention),
      calibrationError: engine.calibration?.test.calibrationError ?? null,
    },
  });
}

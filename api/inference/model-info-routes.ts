import type { z } from 'zod';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { modelInfoSchema } from '../../contracts/inference/http-predict.js';
import { inputSize } from '../../contracts/training/training.js';
import type { ServedModel } from '../model-host/served-model.js';
import { defineRoute, json, nothing, type Route } from '../http/route.js';
import { abstentionView } from '../registry/calibration-view.js';
import { evaluationView } from '../registry/version-view.js';
import { modelOf } from '../model-host/served-model.js';
import type { ApiSettings } from '../http/settings.js';
import type { ModelHost } from '../model-host/model-host.js';

interface Dependencies {
  host: Pick<ModelHost, 'current'>;
  settings: Pick<ApiSettings, 'modelName'>;
}

/** What is served. */
export function modelRoutes({ host, settings }: Dependencies): Route[] {
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
  return {
    model_name: version.modelName,
    model_version: String(version.version),
    stage: version.stage,
    architecture: version.architecture,
    labels: [...engine.labels],
    variant: engine.variant,
    input: { name: onnxNames.image, datatype: 'UINT8', shape: [-1, inputSize, inputSize, 3] },
    dataset: version.dataset,
    dataset_version: version.datasetVersion,
    run_id: version.runId,
    bundle_sha256: version.bundleSha256,
    size_bytes: version.sizeBytes,
    generation,
    loaded_at: loadedAt.toISOString(),
    metrics: evaluationView(version.evaluation),
    calibration: {
      calibration_error: engine.calibration?.test.calibrationError ?? null,
      ...abstentionView(abstention),
    },
  };
}

import { onnxNames } from '../../../contracts/registry/bundle.js';
import { PerennialError } from '../../../contracts/errors.js';
import type { v2ModelSchema } from '../../../contracts/inference/http-v2.js';
import { inputSize } from '../../../contracts/training/training.js';
import type { z } from 'zod';
import { type ServedModel, modelOf, type ServingHost } from '../../model-host/served-model.js';
import { describeOutputs } from './outputs.js';
import type { ApiSettings } from '../../http/settings.js';

/** Model name and version of a path. */
export interface ModelPath {
  model_name: string;
  version?: string | undefined;
}

interface Dependencies {
  host: ServingHost;
  settings: Pick<ApiSettings, 'modelName'>;
}

/**
 * The model of a path, if it is served.
 * @throws PerennialError not_found, no_model, model_retired
 */
export function findModel({ host, settings }: Dependencies, { model_name: name, version }: ModelPath): ServedModel {
  const served = host.current();
  const knownName = served?.version.modelName ?? settings.modelName;
  if (name !== knownName) {
    throw new PerennialError('not_found', `Model “${name}” is not served here; ${knownName} is.`);
  }
  const model = modelOf(host, knownName);
  const current = String(model.version.version);
  if (version !== undefined && version !== current) {
    throw new PerennialError(
      'not_found',
      `Version “${version}” of ${name} is not served; ${current} is. Use that version, or omit the version.`,
    );
  }
  return model;
}

/** Model metadata of the protocol. */
export function modelMetadata({ version, engine }: ServedModel): z.input<typeof v2ModelSchema> {
  return {
    name: version.modelName,
    versions: [String(version.version)],
    platform: 'onnx_onnxv1',
    inputs: [
      {
        name: onnxNames.image,
        datatype: 'UINT8',
        shape: [-1, inputSize, inputSize, 3],
        parameters: { also_accepts: 'BYTES [-1]: image files; any numeric datatype: pixels from 0 to 255' },
      },
    ],
    outputs: describeOutputs(engine.labels.length),
  };
}

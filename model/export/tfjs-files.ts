import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { bundleFiles, onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import type { Operation, Weights } from '../architectures/network.js';
import { tf } from '../tensorflow.js';
import { buildLayersModel, imageInput } from './layers-model.js';

/** Writes a network into a bundle's folder as a TF.js layers model: RGB 0–255 in, probabilities out. */
export async function writeTfjsModel(
  folder: string,
  operations: readonly Operation[],
  weights: Weights,
): Promise<void> {
  const modelPath = join(folder, bundleFiles.tfjsModel);
  await mkdir(dirname(modelPath), { recursive: true });
  const model = buildLayersModel(imageInput, operations, weights, { softmax: true });
  try {
    await model.save(
      tf.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData }) => {
        const weightsManifest = [{ paths: [basename(bundleFiles.tfjsWeights)], weights: weightSpecs }];
        const description = { format: 'layers-model', generatedBy: 'perennial', modelTopology, weightsManifest };
        await writeFile(modelPath, JSON.stringify(description));
        const bytes = new Uint8Array(tf.io.CompositeArrayBuffer.join(weightData));
        await writeFile(join(folder, bundleFiles.tfjsWeights), bytes);
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
      }),
    );
  } finally {
    model.dispose();
  }
}

/** What a model gives for `count` images of RGB 0–255 pixels, image after image. */
export type PredictTfjs = (
  pixels: Uint8Array,
  count: number,
) => { probabilities: Float32Array; features: Float32Array };

/** Loads the layers model of a bundle, passes `work` its prediction function, and disposes of the model. */
export async function withTfjsModel<T>(folder: string, work: (predict: PredictTfjs) => Promise<T> | T): Promise<T> {
  const model = await tf.loadLayersModel(`file://${join(folder, bundleFiles.tfjsModel)}`);
  const outputs = [outputOf(model), outputOf(model, onnxNames.features)];
  const answering = tf.model({ inputs: model.inputs, outputs });
  try {
    return await work((pixels, count) => {
      const [probabilities, features] = predictAll(answering, pixels, count);
      if (!probabilities || !features) throw new Error('The layers model gave no output.');
      return { probabilities, features };
    });
  } finally {
    model.dispose();
  }
}

/** The output of the layer with that name, or of the whole model. */
function outputOf(model: tf.LayersModel, name?: string): tf.SymbolicTensor {
  const { output } = name === undefined ? model : model.getLayer(name);
  if (Array.isArray(output)) throw new Error('The layer has several outputs instead of one.');
  return output;
}

function predictAll(model: tf.LayersModel, pixels: Uint8Array, count: number): Float32Array[] {
  const outputs = tf.tidy(() => {
    const images = tf.tensor4d(pixels, [count, inputSize, inputSize, 3], 'int32').toFloat();
    return [model.predict(images)].flat();
  });
  const values = outputs.map((output) => Float32Array.from(output.dataSync()));
  tf.dispose(outputs);
  return values;
}

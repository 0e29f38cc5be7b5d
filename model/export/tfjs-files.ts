import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { bundleFiles } from '../../contracts/registry/bundle.js';
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

/** Probabilities that a model gives for `count` images of RGB 0–255 pixels, image after image. */
export type PredictTfjs = (pixels: Uint8Array, count: number) => Float32Array;

/** Loads the layers model of a bundle, passes `work` its prediction function, and disposes of the model. */
export async function withTfjsModel<T>(folder: string, work: (predict: PredictTfjs) => Promise<T> | T): Promise<T> {
  const model = await tf.loadLayersModel(`file://${join(folder, bundleFiles.tfjsModel)}`);
  try {
    return await work((pixels, count) => predictTfjs(model, pixels, count));
  } finally {
    model.dispose();
  }
}

function predictTfjs(model: tf.LayersModel, pixels: Uint8Array, count: number): Float32Array {
  const output = tf.tidy(() => {
    const images = tf.tensor4d(pixels, [count, inputSize, inputSize, 3], 'int32').toFloat();
    return model.predict(images);
  });
  const tensor = Array.isArray(output) ? output[0] : output;
  if (!tensor) throw new Error('The layers model gave no output.');
  const values = Float32Array.from(tensor.dataSync());
  tf.dispose(output);
  return values;
}

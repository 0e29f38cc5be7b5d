import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { bundleFiles, onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import type { Operation, Weights } from '../architectures/network.js';
import { joinRows, splitRows } from '../features/rows.js';
import { pixelBytes } from '../images/decode.js';
import { tf } from '../tensorflow.js';
import type { FeatureMemo } from './feature-memo.js';
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

/**
 * Loads the layers model of a bundle, passes `work` its prediction function, and disposes of the model. Its layers before the
 * classifier do not run for images that `memo` knows.
 */
export async function withTfjsModel<T>(
  folder: string,
  work: (predict: PredictTfjs) => Promise<T> | T,
  memo: Pick<FeatureMemo, 'of' | 'add'> = noMemo,
): Promise<T> {
  const model = await tf.loadLayersModel(`file://${join(folder, bundleFiles.tfjsModel)}`);
  const features = outputOf(model, onnxNames.features);
  const extractor = tf.model({ inputs: model.inputs, outputs: features });
  const classifier = model.layers.at(-1);
  if (classifier?.input !== features || classifier.output !== model.output) {
    throw new Error('The layers model does not end with a classifier of its features.');
  }
  try {
    return await work((pixels, count) => {
      const images = Array.from({ length: count }, (_, row) =>
        pixels.subarray(row * pixelBytes, (row + 1) * pixelBytes),
      );
      const found = joinRows(extract(extractor, images, memo));
      return { features: found, probabilities: classify(classifier, found, count) };
    });
  } finally {
    model.dispose();
  }
}

const noMemo: Pick<FeatureMemo, 'of' | 'add'> = { of: () => undefined, add: () => undefined };

/** The features of each image: those of unknown ones from one run. */
function extract(
  extractor: tf.LayersModel,
  images: readonly Uint8Array[],
  memo: Pick<FeatureMemo, 'of' | 'add'>,
): Float32Array[] {
  const features = images.map((pixels) => memo.of(pixels));
  const unknown = images.filter((_, row) => features[row] === undefined);
  const computed = (unknown.length > 0 ? predictFeatures(extractor, unknown) : []).values();
  return images.map((pixels, row) => {
    const known = features[row];
    if (known !== undefined) return known;
    const found = computed.next().value ?? new Float32Array();
    memo.add(pixels, found);
    return found;
  });
}

function classify(classifier: tf.layers.Layer, features: Float32Array, count: number): Float32Array {
  const output = tf.tidy(() => {
    const answer = classifier.apply(tf.tensor2d(features, [count, features.length / count]));
    if (!(answer instanceof tf.Tensor)) throw new Error('The classifier gave no numbers.');
    return answer;
  });
  const values = Float32Array.from(output.dataSync());
  output.dispose();
  return values;
}

/** The output of the layer with that name, or of the whole model. */
function outputOf(model: tf.LayersModel, name?: string): tf.SymbolicTensor {
  const { output } = name === undefined ? model : model.getLayer(name);
  if (Array.isArray(output)) throw new Error('The layer has several outputs instead of one.');
  return output;
}

function predictFeatures(extractor: tf.LayersModel, images: readonly Uint8Array[]): Float32Array[] {
  const pixels = new Uint8Array(images.length * pixelBytes);
  images.forEach((image, row) => pixels.set(image, row * pixelBytes));
  const output = tf.tidy(() => {
    const batch = tf.tensor4d(pixels, [images.length, inputSize, inputSize, 3], 'int32').toFloat();
    return [extractor.predict(batch)].flat()[0];
  });
  if (!output) throw new Error('The layers model gave no features.');
  const values = Float32Array.from(output.dataSync());
  output.dispose();
  return splitRows(values, images.length);
}

import { messageOf } from '../../contracts/errors.js';
import { inputSize } from '../../contracts/training/training.js';
import type { Weights } from '../architectures/network.js';
import { pixelBytes } from '../images/decode.js';
import { tf } from '../tensorflow.js';
import type { Layer } from './layer-schemas.js';
import { layersRefusal } from './refusal.js';
import type { Scaling } from './wrap-onnx.js';

const batchSize = 4;

export interface LayersRun {
  layers: readonly Layer[];
  weights: Weights;
  scaling: Scaling | null;
  output: 'probabilities' | 'logits';
  /** For each class of the result, its index in the model's output. */
  order: readonly number[];
}

/**
 * Probabilities from TF.js for `count` images of RGB 0–255 pixels, one row per image. TF.js gets the validated layers,
 * not the uploaded file.
 * @throws PerennialError bundle_invalid when TF.js cannot load or run them
 */
export async function runLayers(run: LayersRun, pixels: Uint8Array, count: number): Promise<Float32Array> {
  const model = await load(run);
  try {
    const rows: Float32Array[] = [];
    for (let from = 0; from < count; from += batchSize) {
      const size = Math.min(batchSize, count - from);
      rows.push(predict(model, run, pixels.subarray(from * pixelBytes, (from + size) * pixelBytes), size));
    }
    return Float32Array.from(rows.flatMap((row) => [...row]));
  } finally {
    model.dispose();
  }
}

function predict(model: tf.LayersModel, run: LayersRun, pixels: Uint8Array, count: number): Float32Array {
  const values = tf.tidy(() => {
    const images = tf.tensor4d(pixels, [count, inputSize, inputSize, 3], 'int32').toFloat();
    const answer = model.predict(scale(images, run.scaling));
    if (Array.isArray(answer)) throw layersRefusal('The model has more than one output.');
    const isSingle = answer.shape[1] === 1;
    const order = tf.tensor1d([...run.order], 'int32');
    const ordered = tf.gather(isSingle ? bothProbabilities(answer, run.output) : answer, order, 1);
    return run.output === 'logits' && !isSingle ? tf.softmax(ordered) : ordered;
  });
  const row = Float32Array.from(values.dataSync());
  values.dispose();
  return row;
}

/** A single output is about the second of two classes. */
function bothProbabilities(answer: tf.Tensor, output: LayersRun['output']): tf.Tensor {
  const second = output === 'logits' ? tf.sigmoid(answer) : answer;
  return tf.concat([tf.sub(1, second), second], 1);
}

function scale(images: tf.Tensor4D, scaling: Scaling | null): tf.Tensor {
  if (!scaling) return images;
  return images.sub(tf.tensor(scaling.mean)).div(tf.tensor(scaling.std));
}

async function load({ layers, weights }: LayersRun): Promise<tf.LayersModel> {
  const entries = [...weights].map(([name, { shape, values }]) => ({ name, shape, values }));
  const weightData = Buffer.concat(
    entries.map(({ values }) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  );
  try {
    return await tf.loadLayersModel(
      tf.io.fromMemory({
        modelTopology: topologyOf(layers),
        weightSpecs: entries.map(({ name, shape }) => ({ name, shape, dtype: 'float32' })),
        weightData: Uint8Array.from(weightData).buffer,
      }),
    );
  } catch (error) {
    throw layersRefusal(`TF.js cannot load the model (${messageOf(error)}).`, error);
  }
}

/** The layers in the format in which TF.js stores them. */
function topologyOf(layers: readonly Layer[]): object {
  const end = (layer: Layer | undefined): unknown => [[layer?.config.name, 0, 0]];
  return {
    class_name: 'Model',
    config: {
      name: 'uploaded',
      layers: layers.map(({ class_name, config, inputs }) => ({
        class_name,
        name: config.name,
        config: class_name === 'InputLayer' ? { ...config, batch_input_shape: imageShape } : config,
        inbound_nodes: class_name === 'InputLayer' ? [] : [inputs.map((input) => [input, 0, 0, {}])],
      })),
      input_layers: end(layers[0]),
      output_layers: end(layers.at(-1)),
    },
  };
}

const imageShape = [null, inputSize, inputSize, 3];

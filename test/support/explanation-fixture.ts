import { InferenceSession, Tensor } from 'onnxruntime-node';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import { backboneFeatures } from '../../model/architectures/backbone-digest.js';
import { classifierName, type Weights } from '../../model/architectures/network.js';
import { assembleNetwork } from '../../model/architectures/trained-network.js';
import { encodeOnnx } from '../../model/export/onnx-graph.js';
import { decodePixels, pixelBytes } from '../../model/images/decode.js';
import type { ExplainTools } from '../../model/serving/explain-job.js';

const limits = { maxPixels: 10_000_000, maxBytes: 10_000_000, minSide: 8 };

/** An ONNX graph in this thread, with what the explanation code needs. */
export interface OpenGraph extends ExplainTools {
  release(): Promise<void>;
}

/** Opens a graph. `without` lists outputs to hide, as in graphs of earlier releases. */
export async function openGraph(model: Uint8Array, without: readonly string[] = []): Promise<OpenGraph> {
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1 });
  return {
    decode: (bytes) => decodePixels(bytes, limits),
    async run(pixels, outputs) {
      const image = new Tensor('uint8', pixels, [pixels.length / pixelBytes, inputSize, inputSize, 3]);
      const found = await session.run({ [onnxNames.image]: image }, outputs);
      return Object.fromEntries(outputs.map((name) => [name, floats(found[name])]));
    },
    outputs: session.outputNames.filter((name) => !without.includes(name)),
    nearest: () => [],
    release: () => session.release(),
  };
}

function floats(tensor: Tensor | undefined): Float32Array {
  if (tensor?.data instanceof Float32Array) return tensor.data;
  throw new Error('the graph returned no floats');
}

/** The probabilities of `count` images, one row per image. */
export async function probabilitiesOf(graph: ExplainTools, pixels: Uint8Array, count: number): Promise<number[][]> {
  const { [onnxNames.probabilities]: values = new Float32Array() } = await graph.run(pixels, [onnxNames.probabilities]);
  const classes = values.length / count;
  return Array.from({ length: count }, (_, row) => Array.from(values.subarray(row * classes, (row + 1) * classes)));
}

/**
 * The graph of the default architecture with a classifier fitted to the features of images of two classes: the real
 * backbone, without a training run.
 */
export async function fittedBackbone(imagesByClass: readonly (readonly Uint8Array[])[]): Promise<Uint8Array> {
  const blank = await encode(new Float32Array(2 * backboneFeatures), new Float32Array(2));
  const graph = await openGraph(blank);
  const rows: { features: Float32Array; label: number }[] = [];
  for (const [label, images] of imagesByClass.entries()) {
    for (const image of images) {
      const pixels = await graph.decode(image);
      const { [onnxNames.features]: features } = await graph.run(pixels, [onnxNames.features]);
      rows.push({ features: features ?? new Float32Array(), label });
    }
  }
  await graph.release();
  return encode(...fit(rows));
}

async function encode(kernel: Float32Array, bias: Float32Array): Promise<Uint8Array> {
  const weights: Weights = new Map([
    [`${classifierName}/kernel`, { shape: [backboneFeatures, 2], values: kernel }],
    [`${classifierName}/bias`, { shape: [2], values: bias }],
  ]);
  const network = await assembleNetwork('efficientnet-lite0', weights);
  return encodeOnnx(network.operations, network.weights);
}

/** Logistic regression by gradient descent with weight decay. */
function fit(rows: readonly { features: Float32Array; label: number }[]): [kernel: Float32Array, bias: Float32Array] {
  const weights = new Float32Array(backboneFeatures);
  let bias = 0;
  for (let step = 0; step < 300; step += 1) {
    for (const { features, label } of rows) {
      const logit = features.reduce((sum, value, index) => sum + value * (weights[index] ?? 0), bias);
      const error = 1 / (1 + Math.exp(-logit)) - label;
      const rate = 0.05 / rows.length;
      features.forEach((value, index) => {
        weights[index] = (weights[index] ?? 0) * (1 - 1e-4) - rate * error * value;
      });
      bias -= rate * error;
    }
  }
  const kernel = new Float32Array(2 * backboneFeatures);
  weights.forEach((weight, index) => kernel.set([-weight / 2, weight / 2], 2 * index));
  return [kernel, Float32Array.of(-bias / 2, bias / 2)];
}

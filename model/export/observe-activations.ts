import { InferenceSession, Tensor } from 'onnxruntime-node';
import onnxProto from 'onnx-proto';
import { onnxNames } from '../../contracts/registry/bundle.js';
import { inputSize } from '../../contracts/training/training.js';
import type { Operation, Weights } from '../architectures/network.js';
import { decodeBatches } from '../features/decode-batches.js';
import type { ImageFile } from '../jobs.js';
import { buildGraph, scaledImage } from './onnx-graph.js';
import { encodeModel } from './onnx-model.js';
import { attributes, node, valueInfo } from './onnx-parts.js';
import { floatsOf, oneThread } from './parity.js';
import type { Range } from './quantize-tensors.js';

const { FLOAT } = onnxProto.onnx.TensorProto.DataType;
const batchSize = 4;

/** Statistics of an operation's output, over all positions of all images. */
export interface Observed {
  range: Range;
  /** Mean of each channel. */
  means: Float32Array;
}

/**
 * A tensor to observe: the output of an operation, or the scaled image. `bounds` is its range where that is known in
 * advance.
 */
interface ObservedTensor {
  name: string;
  bounds: Range | null;
}

/**
 * Runs images through the network and observes the scaled image and the output of every operation before the average
 * pooling.
 */
export async function observeActivations(
  operations: readonly Operation[],
  weights: Weights,
  images: readonly ImageFile[],
): Promise<Map<string, Observed>> {
  const tensors = [{ name: scaledImage, bounds: imageBounds }, ...operations.flatMap(observedTensorOf)];
  const session = await InferenceSession.create(encodeObserver(operations, weights, tensors), oneThread);
  try {
    const observed = new Map<string, Observed>();
    for await (const { pixels, images: batch } of decodeBatches(images, batchSize)) {
      const image = new Tensor('uint8', pixels, [batch.length, inputSize, inputSize, 3]);
      const outputs = await session.run({ [onnxNames.image]: image }, tensors.flatMap(outputNamesOf));
      for (const tensor of tensors) {
        const { name, bounds } = tensor;
        const { range, means } = observed.get(name) ?? { range: bounds ?? emptyRange, means: null };
        const [batchMeans, low, high] = outputNamesOf(tensor).map((output) => floatsOf(outputs, output));
        observed.set(name, {
          range: [Math.min(range[0], ...(low ?? [])), Math.max(range[1], ...(high ?? []))],
          means: addMeans(means, batchMeans ?? new Float32Array(), batch.length, images.length),
        });
      }
    }
    return observed;
  } finally {
    await session.release();
  }
}

/** Only the means of the image are used, so its range is not observed. */
const imageBounds: Range = [0, 0];
const emptyRange: Range = [Infinity, -Infinity];

/** relu6 bounds its output on both sides, so its range is known. */
function observedTensorOf(operation: Operation): ObservedTensor[] {
  const { kind, name } = operation;
  if (kind === 'average' || kind === 'dense') return [];
  return [{ name, bounds: 'activation' in operation && operation.activation === 'relu6' ? [0, 6] : null }];
}

/** Adds one batch to the mean over all images; `batchMeans` has one row per image. */
function addMeans(means: Float32Array | null, batchMeans: Float32Array, rows: number, images: number): Float32Array {
  const channels = batchMeans.length / rows;
  const sums = means ?? new Float32Array(channels);
  batchMeans.forEach((value, at) => {
    const channel = at % channels;
    sums[channel] = (sums[channel] ?? 0) + value / images;
  });
  return sums;
}

/** Graph outputs for a tensor: its means, and its minimum and maximum unless the range is known. */
function outputNamesOf({ name, bounds }: ObservedTensor): string[] {
  return [`${name}/means`, ...(bounds ? [] : [`${name}/low`, `${name}/high`])];
}

/** The network with these statistics as outputs, computed in the graph so that only they leave ONNX Runtime. */
function encodeObserver(
  operations: readonly Operation[],
  weights: Weights,
  tensors: readonly ObservedTensor[],
): Uint8Array {
  const graph = buildGraph(operations, weights);
  const everywhere = attributes({ axes: [1, 2, 3], keepdims: 0 });
  for (const tensor of tensors) {
    const { name } = tensor;
    const [means = '', low, high] = outputNamesOf(tensor);
    graph.nodes.push(node('GlobalAveragePool', [name], means));
    graph.outputs.push(valueInfo(means, FLOAT, ['N', `${name}/channels`, 1, 1]));
    if (low === undefined || high === undefined) continue;
    graph.nodes.push(node('ReduceMin', [name], low, everywhere), node('ReduceMax', [name], high, everywhere));
    graph.outputs.push(valueInfo(low, FLOAT, ['N']), valueInfo(high, FLOAT, ['N']));
  }
  return encodeModel(graph);
}

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
import { floatsOf } from './parity.js';
import type { Range } from './quantize-tensors.js';
import { oneThread } from './run-onnx.js';

const { FLOAT } = onnxProto.onnx.TensorProto.DataType;
const batchSize = 4;

/** What was seen of the output of an operation, over all places of all images. */
export interface Observed {
  range: Range;
  /** Mean of each channel. */
  means: Float32Array;
}

/** Something to look at: an operation, or the image as it goes in. `bounds` is its range where that is known before. */
interface ObservedTensor {
  name: string;
  bounds: Range | null;
}

/** Looks at the scaled image and at the output of every operation before the average while images go through. */
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

/** Of the image nothing but the means is of use. */
const imageBounds: Range = [0, 0];
const emptyRange: Range = [Infinity, -Infinity];

/** What an activation bounds on both sides has these bounds as its range. */
function observedTensorOf(operation: Operation): ObservedTensor[] {
  const { kind, name } = operation;
  if (kind === 'average' || kind === 'dense') return [];
  return [{ name, bounds: 'activation' in operation && operation.activation === 'relu6' ? [0, 6] : null }];
}

/** Adds to the mean over all images the part of those of one batch; `seen` holds a row for each. */
function addMeans(means: Float32Array | null, batchMeans: Float32Array, rows: number, images: number): Float32Array {
  const channels = batchMeans.length / rows;
  const sums = means ?? new Float32Array(channels);
  batchMeans.forEach((value, at) => {
    const channel = at % channels;
    sums[channel] = (sums[channel] ?? 0) + value / images;
  });
  return sums;
}

/** Names of the graph's outputs about a tensor: its means, and unless they are known its lowest and highest values. */
function outputNamesOf({ name, bounds }: ObservedTensor): string[] {
  return [`${name}/means`, ...(bounds ? [] : [`${name}/low`, `${name}/high`])];
}

/** The network with outputs that say what passes through it, so that no more than that leaves ONNX Runtime. */
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

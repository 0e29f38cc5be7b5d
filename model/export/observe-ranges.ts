import { InferenceSession, Tensor } from 'onnxruntime-node';
import onnxProto from 'onnx-proto';
import { onnxNames } from '../../contracts/bundle.js';
import { inputSize } from '../../contracts/training.js';
import type { Operation, Weights } from '../architectures/network.js';
import { decodeBatches } from '../features/decode-batches.js';
import type { ImageFile } from '../jobs.js';
import { buildGraph } from './onnx-graph.js';
import { encodeModel } from './onnx-model.js';
import { attributes, node, valueInfo } from './onnx-parts.js';
import { floatsOf } from './parity.js';
import type { Range } from './quantize-tensors.js';

const { FLOAT } = onnxProto.onnx.TensorProto.DataType;
const batchSize = 4;

/**
 * Lowest and highest output of every operation before the average, over all places and channels of the images. What
 * an activation bounds on both sides is not looked at: its bounds are its range.
 */
export async function observeRanges(
  operations: readonly Operation[],
  weights: Weights,
  images: readonly ImageFile[],
): Promise<Map<string, Range>> {
  const ranges = new Map<string, Range>(operations.filter(isBounded).map(({ name }) => [name, [0, 6]]));
  const observed = operations.filter((each) => isConvolved(each) && !isBounded(each));
  const session = await InferenceSession.create(encodeObserver(operations, weights, observed));
  try {
    for await (const { pixels, images: batch } of decodeBatches(images, batchSize)) {
      const image = new Tensor('uint8', pixels, [batch.length, inputSize, inputSize, 3]);
      const outputs = await session.run({ [onnxNames.image]: image }, observed.flatMap(endsOf));
      for (const operation of observed) {
        const [low = Infinity, high = -Infinity] = ranges.get(operation.name) ?? [];
        const lows = floatsOf(outputs, lowOf(operation));
        const highs = floatsOf(outputs, highOf(operation));
        ranges.set(operation.name, [Math.min(low, ...lows), Math.max(high, ...highs)]);
      }
    }
    return ranges;
  } finally {
    await session.release();
  }
}

const isConvolved = ({ kind }: Operation): boolean => kind !== 'average' && kind !== 'dense';
const isBounded = (operation: Operation): boolean => 'activation' in operation && operation.activation === 'relu6';
const lowOf = ({ name }: Operation): string => `${name}/low`;
const highOf = ({ name }: Operation): string => `${name}/high`;
const endsOf = (operation: Operation): string[] => [lowOf(operation), highOf(operation)];

/** The network with the extremes of its operations, so that no more than these leave ONNX Runtime. */
function encodeObserver(
  operations: readonly Operation[],
  weights: Weights,
  observed: readonly Operation[],
): Uint8Array {
  const graph = buildGraph(operations, weights);
  const everywhere = attributes({ axes: [1, 2, 3], keepdims: 0 });
  for (const operation of observed) {
    graph.nodes.push(
      node('ReduceMin', [operation.name], lowOf(operation), everywhere),
      node('ReduceMax', [operation.name], highOf(operation), everywhere),
    );
    graph.outputs.push(...endsOf(operation).map((name) => valueInfo(name, FLOAT, ['N'])));
  }
  return encodeModel(graph);
}

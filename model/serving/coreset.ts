import { InferenceSession, Tensor } from 'onnxruntime-node';
import { comparisonVector } from '../features/unit-vectors.js';
import { distanceOf, type Near, type SharedReferences } from './nearest.js';

/**
 * An ONNX graph with one matrix product: `products` [R,1] = `rows` [R,D] × `vector` [D,1]. ONNX Runtime multiplies ten
 * times as fast as a loop in JavaScript, and every prediction waits for it. Stored encoded, so that no thread loads the
 * encoder.
 */
export const productGraph = Buffer.from(
  'CAg6fgogCgRyb3dzCgZ2ZWN0b3ISCHByb2R1Y3RzIgZNYXRNdWwSCHByb2R1Y3RzWhgKBHJvd3MSEAoOCAESCgoDEgFSCgMSAURaGQoGdmVjdG9y' +
    'Eg8KDQgBEgkKAxIBRAoCCAFiGwoIcHJvZHVjdHMSDwoNCAESCQoDEgFSCgIIAUIECgAQDQ==',
  'base64',
);

/** The coreset of the references, in which every prediction looks for its nearest neighbour. */
export interface Coreset {
  nearest(feature: Float32Array): Promise<Near | null>;
  end(): Promise<void>;
}

/** Loads the coreset into this thread, as a copy: ONNX Runtime cannot read shared memory. */
export async function openCoreset({
  features,
  dimensions,
  coresetRows,
  transform,
}: SharedReferences): Promise<Coreset> {
  const session = await InferenceSession.create(productGraph, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const copy = new Float32Array(features.subarray(0, coresetRows * dimensions));
  const rows = new Tensor('float32', copy, [coresetRows, dimensions]);
  return {
    async nearest(feature) {
      const vector = new Tensor('float32', comparisonVector(feature, transform), [dimensions, 1]);
      const products = (await session.run({ rows, vector }))['products']?.data;
      if (!(products instanceof Float32Array)) return null;
      const row = indexOfLargest(products);
      return { row, distance: distanceOf(products[row] ?? 0) };
    },
    end: () => session.release(),
  };
}

function indexOfLargest(values: Float32Array): number {
  let largest = 0;
  for (let at = 1; at < values.length; at += 1) if ((values[at] ?? 0) > (values[largest] ?? 0)) largest = at;
  return largest;
}

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { distanceOf, lengthOf, type Near, type SharedReferences } from './nearest.js';

/**
 * An ONNX graph of one product: `products` [R,1] = `rows` [R,D] × `vector` [D,1]. ONNX Runtime multiplies ten times as
 * fast as a loop in JavaScript, and every prediction waits for it. Kept encoded, so that no thread loads the encoder.
 */
export const productGraph = Buffer.from(
  'CAg6fgogCgRyb3dzCgZ2ZWN0b3ISCHByb2R1Y3RzIgZNYXRNdWwSCHByb2R1Y3RzWhgKBHJvd3MSEAoOCAESCgoDEgFSCgMSAURaGQoGdmVjdG9y' +
    'Eg8KDQgBEgkKAxIBRAoCCAFiGwoIcHJvZHVjdHMSDwoNCAESCQoDEgFSCgIIAUIECgAQDQ==',
  'base64',
);

/** The references that cover the others, where every prediction looks for its nearest. */
export interface Coreset {
  nearest(feature: Float32Array): Promise<Near | null>;
  end(): Promise<void>;
}

/** Loads the covering rows into this thread: a copy, for ONNX Runtime reads no shared memory. */
export async function openCoreset({ features, dimensions, coresetRows }: SharedReferences): Promise<Coreset> {
  const session = await InferenceSession.create(productGraph, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const copy = new Float32Array(features.subarray(0, coresetRows * dimensions));
  const rows = new Tensor('float32', copy, [coresetRows, dimensions]);
  return {
    async nearest(feature) {
      const vector = new Tensor('float32', feature, [dimensions, 1]);
      const products = (await session.run({ rows, vector }))['products']?.data;
      if (!(products instanceof Float32Array)) return null;
      const row = indexOfLargest(products);
      // Of a vector of zeros, every product is zero whatever its length is taken for.
      return { row, distance: distanceOf((products[row] ?? 0) / (lengthOf(feature) || 1)) };
    },
    end: () => session.release(),
  };
}

function indexOfLargest(values: Float32Array): number {
  let largest = 0;
  for (let at = 1; at < values.length; at += 1) if ((values[at] ?? 0) > (values[largest] ?? 0)) largest = at;
  return largest;
}

import { comparisonVector } from '../features/unit-vectors.js';
import { productsKernel, stepBytes, sumBytes } from './coreset-kernel.js';
import { distanceOf, type Near, type SharedReferences } from './nearest.js';

/** The coreset of the references, in which every prediction looks for its nearest neighbour. */
export interface Coreset {
  nearest(feature: Float32Array): Near | null;
}

const pageBytes = 65_536;

/** Copies the coreset into the memory of this thread, where every row takes whole steps of the kernel. */
export function openCoreset({ features, dimensions, coresetRows, transform }: SharedReferences): Coreset {
  if (coresetRows === 0) return { nearest: () => null };
  const steps = Math.ceil((dimensions * Float32Array.BYTES_PER_ELEMENT) / stepBytes);
  const rowBytes = steps * stepBytes;
  // In its order: the vector that is compared, the rows, and the sums of the rows.
  const [rowsAt, sumsAt] = [rowBytes, rowBytes * (1 + coresetRows)];
  const memory = new WebAssembly.Memory({ initial: Math.ceil((sumsAt + coresetRows * sumBytes) / pageBytes) });
  for (let row = 0; row < coresetRows; row += 1) {
    const values = features.subarray(row * dimensions, (row + 1) * dimensions);
    new Float32Array(memory.buffer, rowsAt + row * rowBytes, dimensions).set(values);
  }
  const vector = new Float32Array(memory.buffer, 0, dimensions);
  const sums = new Float32Array(memory.buffer, sumsAt, (coresetRows * sumBytes) / Float32Array.BYTES_PER_ELEMENT);
  const multiply = productsIn(memory);
  return {
    nearest(feature) {
      vector.set(comparisonVector(feature, transform));
      multiply(rowsAt, coresetRows, 0, steps, sumsAt);
      return nearestIn(sums);
    },
  };
}

function productsIn(host: WebAssembly.Memory): WebAssembly.Run {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(productsKernel), { host: { memory: host } });
  if (!exports.products) throw new Error('the kernel lacks its function');
  return exports.products;
}

/** The row with the largest product, which is the sum of four numbers. */
function nearestIn(sums: Float32Array): Near {
  let [nearest, largest] = [0, -Infinity];
  for (let at = 0; at < sums.length; at += 4) {
    const product = (sums[at] ?? 0) + (sums[at + 1] ?? 0) + (sums[at + 2] ?? 0) + (sums[at + 3] ?? 0);
    if (product > largest) [nearest, largest] = [at / 4, product];
  }
  return { row: nearest, distance: distanceOf(largest) };
}

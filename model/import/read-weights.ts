import { readFile } from 'node:fs/promises';
import type { Weights, WeightTensor } from '../architectures/network.js';
import { tf } from '../tensorflow.js';
import type { LayersModelFile, WeightSpec } from './layers-model-file.js';
import { layersRefusal, refusal } from './refusal.js';

const bytesOf = { float32: 4, uint8: 1, uint16: 2, float16: 2 } as const;

/**
 * The weights of a layers model, by name. `pathOf` maps the names of uploaded files to their paths: a file name from
 * the model.json is never used as a path.
 * @throws PerennialError bundle_invalid for missing files, files of another length, and NaN
 */
export async function readWeights(
  { weightsManifest }: LayersModelFile,
  pathOf: ReadonlyMap<string, string>,
): Promise<Weights> {
  const found = new Map<string, WeightTensor>();
  for (const { paths, weights: specs } of weightsManifest) {
    const bytes = await readShards(paths, pathOf);
    const needed = specs.reduce((sum, spec) => sum + sizeOf(spec), 0);
    if (bytes.length !== needed) {
      throw refusal(
        `The weight files ${paths.join(', ')} hold ${bytes.length} bytes; the model.json declares ${needed}.`,
        'Send all of them completely.',
      );
    }
    for (const [name, tensor] of decode(bytes, specs)) {
      if (found.has(name)) throw layersRefusal(`The weights ${name} are listed twice.`);
      if (tensor.values.some((value) => !Number.isFinite(value))) {
        throw refusal(`The weights ${name} hold NaN or infinity.`, 'Train the model again; it has diverged.');
      }
      found.set(name, tensor);
    }
  }
  return found;
}

async function readShards(paths: readonly string[], pathOf: ReadonlyMap<string, string>): Promise<Uint8Array> {
  const shards: Uint8Array[] = [];
  for (const name of paths) {
    const path = pathOf.get(name);
    if (path === undefined) {
      throw refusal(
        `The model.json names the weight file ${name}, which was not sent.`,
        'Send it together with the rest.',
      );
    }
    shards.push(await readFile(path));
  }
  return Buffer.concat(shards);
}

function sizeOf({ shape, dtype, quantization }: WeightSpec): number {
  return shape.reduce((product, side) => product * side, 1) * bytesOf[quantization?.dtype ?? dtype];
}

function decode(bytes: Uint8Array, specs: readonly WeightSpec[]): Map<string, WeightTensor> {
  // A copy: the contents of files are views into a larger buffer.
  const buffer = Uint8Array.from(bytes).buffer;
  const tensors = tf.io.decodeWeights(buffer, specs.map(entryOf));
  try {
    return new Map(
      Object.entries(tensors).map(([name, tensor]) => [
        name,
        { shape: tensor.shape, values: Float32Array.from(tensor.dataSync()) },
      ]),
    );
  } finally {
    tf.dispose(tensors);
  }
}

type Entry = Parameters<typeof tf.io.decodeWeights>[1][number];

function entryOf({ name, shape, dtype, quantization }: WeightSpec): Entry {
  if (!quantization) return { name, shape, dtype };
  const { scale, min } = quantization;
  return {
    name,
    shape,
    dtype,
    quantization: {
      dtype: quantization.dtype,
      ...(scale !== undefined && { scale }),
      ...(min !== undefined && { min }),
    },
  };
}

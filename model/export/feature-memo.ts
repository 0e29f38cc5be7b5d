import { hash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { bundleFiles } from '../../contracts/registry/bundle.js';
import { readJson } from '../../platform/validation/json-file.js';
import { writeAtomically } from '../write-atomically.js';

const memoSchema = z.array(z.tuple([z.string(), z.string()]));
/** Images of three packagings, 7 kB each. */
const mostImages = 60;

/**
 * Features that TF.js gave for the images of earlier packagings, by the digest of all that they depend on: the files of the
 * layers model without its classifier, and the pixels.
 */
export interface FeatureMemo {
  /** The features of one image. */
  of(pixels: Uint8Array): Float32Array | undefined;
  add(pixels: Uint8Array, features: Float32Array): void;
  /** Stores the latest in a file, if that can be written. */
  save(): Promise<void>;
}

/** A memo for the layers model in the bundle `folder`, whose last `classifierBytes` of weights are the classifier. */
export async function openFeatureMemo(
  folder: string,
  classifierBytes: number,
  cacheFolder: string,
): Promise<FeatureMemo> {
  const path = join(cacheFolder, 'tfjs-features.json');
  const [model, weights] = await Promise.all(
    [bundleFiles.tfjsModel, bundleFiles.tfjsWeights].map((name) => readFile(join(folder, name))),
  );
  const frozen = weights?.subarray(0, -classifierBytes) ?? new Uint8Array();
  const network = hash('sha256', model ?? '') + hash('sha256', frozen);
  const keyOf = (pixels: Uint8Array): string => hash('sha256', network + hash('sha256', pixels));
  const known = new Map(await read(path));
  return {
    of(pixels) {
      const stored = known.get(keyOf(pixels));
      return stored === undefined ? undefined : floatsFrom(stored);
    },
    add(pixels, { buffer, byteOffset, byteLength }) {
      known.set(keyOf(pixels), Buffer.from(buffer, byteOffset, byteLength).toString('base64'));
    },
    async save() {
      try {
        await mkdir(cacheFolder, { recursive: true });
        await writeAtomically(path, JSON.stringify([...known].slice(-mostImages)));
      } catch {
        // The next packaging computes them again.
      }
    },
  };
}

async function read(path: string): Promise<z.infer<typeof memoSchema>> {
  try {
    return readJson(memoSchema, await readFile(path, 'utf8'));
  } catch {
    return [];
  }
}

function floatsFrom(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
}

import { hash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { currentPreprocessing } from '../../contracts/registry/bundle.js';
import { backboneDigest, featureRuntime } from '../architectures/backbone-digest.js';
import type { ImageFile } from '../jobs.js';
import { writeAtomically } from '../write-atomically.js';

/** Files to keep, of 4 MB each: one for each dataset in use. */
const keptFiles = 4;
const digestLength = 64;

/**
 * The quantized layers of the frozen backbone from `folder`, or made by `quantize` and stored there. They depend on the
 * backbone and on the images that it was observed on, in their order, and not on the classifier. A damaged file is made
 * again; one that cannot be written is not stored.
 */
export async function cachedLayers(
  folder: string,
  images: readonly ImageFile[],
  quantize: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const path = join(folder, `${keyOf(images)}.onnx`);
  const stored = await read(path);
  if (stored !== null) return stored;
  const layers = await quantize();
  await write(folder, path, layers).catch(() => undefined);
  return layers;
}

function keyOf(images: readonly ImageFile[]): string {
  const sha256s = images.map(({ sha256 }) => sha256);
  return hash('sha256', JSON.stringify([backboneDigest, currentPreprocessing, featureRuntime, sha256s]));
}

/** Null when there is no such file, or its content is not what was written. */
async function read(path: string): Promise<Uint8Array | null> {
  const bytes = await readFile(path).catch(() => null);
  if (bytes === null) return null;
  const layers = bytes.subarray(digestLength);
  return hash('sha256', layers) === bytes.toString('latin1', 0, digestLength) ? layers : null;
}

async function write(folder: string, path: string, layers: Uint8Array): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeAtomically(path, Buffer.concat([Buffer.from(hash('sha256', layers)), layers]));
  const files = await Promise.all(
    (await readdir(folder)).map(async (name) => ({ name, writtenAt: (await stat(join(folder, name))).mtimeMs })),
  );
  files.sort((a, b) => b.writtenAt - a.writtenAt);
  for (const { name } of files.slice(keptFiles)) await rm(join(folder, name), { force: true });
}

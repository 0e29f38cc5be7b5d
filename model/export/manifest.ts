import { hash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles, currentBundleFormat, manifestSchema, type Manifest } from '../../contracts/registry/bundle.js';
import { writeJson } from '../../platform/validation/json-file.js';

/** Files a bundle may lack; any other missing file is an error. */
const optionalFiles: ReadonlySet<string> = new Set([
  bundleFiles.onnxInt8,
  bundleFiles.quantization,
  bundleFiles.calibration,
  bundleFiles.reliability,
  bundleFiles.references,
  bundleFiles.referenceFeatures,
]);

/**
 * Writes the manifest of a bundle whose other files are complete. It comes last: a folder without a manifest is not a
 * bundle.
 */
export async function writeManifest(
  folder: string,
  fields: Omit<Manifest, 'format' | 'files'>,
  paths?: readonly string[],
): Promise<Manifest> {
  const files = await Promise.all(
    [...(paths ?? (await listFiles(folder)))].sort().map(async (path) => {
      const bytes = await readFile(join(folder, path));
      return { path, sizeBytes: bytes.length, sha256: hash('sha256', bytes) };
    }),
  );
  const manifest: Manifest = { format: currentBundleFormat, ...fields, files };
  await writeFile(join(folder, bundleFiles.manifest), writeJson(manifestSchema, manifest));
  return manifest;
}

async function listFiles(folder: string): Promise<string[]> {
  const present = new Set(await readdir(folder));
  return Object.values(bundleFiles).filter(
    (path) => path !== bundleFiles.manifest && (!optionalFiles.has(path) || present.has(path)),
  );
}

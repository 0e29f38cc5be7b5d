import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { bundleFiles, labelsSchema, manifestSchema, type Manifest } from '../../contracts/registry/bundle.js';
import { PerennialError, messageOf } from '../../contracts/errors.js';
import { readJson } from '../../platform/validation/json-file.js';

/** Files that serving requires. */
const neededFiles = [bundleFiles.onnx, bundleFiles.labels, bundleFiles.preprocessing];

/**
 * Checks a bundle against its manifest: every listed file exists with its size and SHA-256, the files that serving
 * requires are listed, and the labels match. Nothing of a bundle may be loaded before this has passed.
 * @throws PerennialError bundle_invalid, naming the file that is wrong
 */
export async function verifyBundle(folder: string): Promise<Manifest> {
  const manifest = await readManifest(folder);
  for (const needed of neededFiles) {
    if (!manifest.files.some((file) => file.path === needed)) {
      throw invalid(needed, 'is not listed in manifest.json');
    }
  }
  for (const file of manifest.files) await verifyFile(folder, file);
  await verifyLabels(folder, manifest);
  return manifest;
}

async function readManifest(folder: string): Promise<Manifest> {
  try {
    return readJson(manifestSchema, await readFile(join(folder, bundleFiles.manifest), 'utf8'));
  } catch (error) {
    throw invalid(bundleFiles.manifest, `cannot be read (${messageOf(error)})`, error);
  }
}

async function verifyFile(folder: string, file: Manifest['files'][number]): Promise<void> {
  const path = join(folder, file.path);
  const found = await stat(path).catch(() => null);
  if (found?.isFile() !== true) throw invalid(file.path, 'is missing');
  if (found.size !== file.sizeBytes) {
    throw invalid(file.path, `has ${found.size} bytes instead of ${file.sizeBytes}`);
  }
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const sha256 = hash.digest('hex');
  if (sha256 !== file.sha256) throw invalid(file.path, `has SHA-256 ${sha256} instead of ${file.sha256}`);
}

async function verifyLabels(folder: string, manifest: Manifest): Promise<void> {
  const text = await readFile(join(folder, bundleFiles.labels), 'utf8');
  const labels = parseLabels(text);
  const same = labels?.length === manifest.labels.length && labels.every((label, i) => label === manifest.labels[i]);
  if (!same) throw invalid(bundleFiles.labels, 'does not hold the labels in manifest.json');
}

function parseLabels(text: string): string[] | null {
  try {
    return readJson(labelsSchema, text);
  } catch {
    return null;
  }
}

function invalid(file: string, problem: string, cause?: unknown): PerennialError {
  return new PerennialError(
    'bundle_invalid',
    `${file} of the model bundle ${problem}. The bundle is not used; fetch it again or train a new model.`,
    { cause, details: { file } },
  );
}

import { hash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bundleFiles, manifestSchema, type Manifest } from '../../contracts/registry/bundle.js';
import { errorCodeOf, messageOf, PerennialError } from '../../contracts/errors.js';
import { concurrently } from '../../platform/concurrently.js';
import { readJson } from '../../platform/validation/json-file.js';
import { bundleKeyOf } from '../objects/object-keys.js';
import type { ObjectStore } from '../objects/object-store.js';

/** Local copies to keep: Production, the candidate, the rollback target, and spares. */
const keptCopies = 6;
/** Files of a bundle that are transferred concurrently; a bundle has few files. */
const filesAtOnce = 16;

export interface BundleAddress {
  /** Key prefix in the object store. */
  bundleKey: string;
  /** SHA-256 of `manifest.json`, which lists every other file with its digest. */
  bundleSha256: string;
}

/**
 * Uploads a bundle folder to `models/<model>/<first 16 digits of the manifest's SHA-256>/`, the manifest last, so that
 * a bundle with a manifest is complete. Uploading the same bundle again changes nothing.
 */
export async function publishBundle(objects: ObjectStore, folder: string, modelName: string): Promise<BundleAddress> {
  const manifestBytes = await readFile(join(folder, bundleFiles.manifest));
  const bundleSha256 = hash('sha256', manifestBytes);
  const bundleKey = bundleKeyOf(modelName, bundleSha256);
  const { files } = parseManifest(manifestBytes, folder);
  await concurrently(files, filesAtOnce, ({ path }) => objects.putFile(`${bundleKey}/${path}`, join(folder, path)));
  await objects.put(`${bundleKey}/${bundleFiles.manifest}`, manifestBytes, 'application/json');
  return { bundleKey, bundleSha256 };
}

/**
 * Returns the folder below `cacheFolder` that holds the bundle; downloads it if needed. Verifies the digest of the
 * manifest; the loader of the bundle verifies the files against the manifest.
 * Throws `bundle_invalid` if the stored manifest is not the registered one.
 */
export async function fetchBundle(objects: ObjectStore, address: BundleAddress, cacheFolder: string): Promise<string> {
  const folder = bundleFolder(address, cacheFolder);
  if (await isThere(address, folder)) return folder;
  const partial = `${folder}.${randomUUID()}.part`;
  try {
    await download(objects, address, partial);
    // Another process may have downloaded the bundle first and be reading it: keep that copy.
    if (!(await isThere(address, folder))) {
      await rm(folder, { recursive: true, force: true });
      await rename(partial, folder);
    }
  } catch (error) {
    if (!(await isThere(address, folder))) throw error;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  await forgetOldest(cacheFolder);
  return folder;
}

/**
 * Moves the folder of a published bundle to the local copies, so that it is not downloaded on this machine. A folder on
 * another disk stays where it is.
 */
export async function keepBundle(folder: string, address: BundleAddress, cacheFolder: string): Promise<void> {
  const target = bundleFolder(address, cacheFolder);
  if (await isThere(address, target)) return;
  try {
    await mkdir(cacheFolder, { recursive: true });
    await rename(folder, target);
    await forgetOldest(cacheFolder);
  } catch {
    // There is no copy, and a reader downloads the bundle.
  }
}

/**
 * Removes a bundle from the object store, the manifest first, so that an interrupted removal leaves no valid bundle.
 * Idempotent.
 */
export async function removeBundle(
  objects: Pick<ObjectStore, 'delete' | 'deletePrefix'>,
  bundleKey: string,
): Promise<void> {
  await objects.delete(`${bundleKey}/${bundleFiles.manifest}`);
  await objects.deletePrefix(`${bundleKey}/`);
}

export interface BundleCheck {
  /** Null if it is not the registered one or cannot be read. */
  manifest: Manifest | null;
  /** Number of files verified against the manifest. */
  files: number;
  bytes: number;
  /** Files that are missing or have another digest, the manifest included. */
  failed: string[];
}

/** Verifies a stored bundle: the manifest against the registered digest, every file against the manifest. */
export async function checkBundle(
  objects: Pick<ObjectStore, 'get' | 'digest'>,
  { bundleKey, bundleSha256 }: BundleAddress,
): Promise<BundleCheck> {
  const manifestBytes = await unlessMissing(objects.get(`${bundleKey}/${bundleFiles.manifest}`));
  if (manifestBytes === null || hash('sha256', manifestBytes) !== bundleSha256) {
    return { manifest: null, files: 0, bytes: 0, failed: [bundleFiles.manifest] };
  }
  const manifest = parseManifest(manifestBytes, bundleKey);
  const failed: string[] = [];
  for (const file of manifest.files) {
    const found = await unlessMissing(objects.digest(`${bundleKey}/${file.path}`));
    if (found?.sha256 !== file.sha256 || found.sizeBytes !== file.sizeBytes) failed.push(file.path);
  }
  const bytes = manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return { manifest, files: manifest.files.length, bytes, failed };
}

/** Content of an object; null if it does not exist. */
export async function unlessMissing<T>(wanted: Promise<T>): Promise<T | null> {
  try {
    return await wanted;
  } catch (error) {
    if (errorCodeOf(error) === 'not_found') return null;
    throw error;
  }
}

/** Removes a local copy, for example a damaged one. */
export async function forgetBundle(address: BundleAddress, cacheFolder: string): Promise<void> {
  await rm(bundleFolder(address, cacheFolder), { recursive: true, force: true });
}

function bundleFolder(address: BundleAddress, cacheFolder: string): string {
  return join(cacheFolder, address.bundleSha256.slice(0, 16));
}

/** Reads the manifest of a registered bundle. Throws `bundle_invalid` for another one, and `not_found`. */
export async function readManifest(
  objects: Pick<ObjectStore, 'get'>,
  { bundleKey, bundleSha256 }: BundleAddress,
): Promise<{ manifest: Manifest; sizeBytes: number }> {
  const key = `${bundleKey}/${bundleFiles.manifest}`;
  const bytes = await objects.get(key);
  if (hash('sha256', bytes) !== bundleSha256) {
    throw new PerennialError(
      'bundle_invalid',
      `${key} is not the manifest that was registered; restore it from a backup.`,
    );
  }
  return { manifest: parseManifest(bytes, key), sizeBytes: bytes.length };
}

async function download(objects: ObjectStore, address: BundleAddress, folder: string): Promise<void> {
  const bring = async (path: string): Promise<void> => {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await objects.getToFile(`${address.bundleKey}/${path}`, target);
  };
  const { files } = (await readManifest(objects, address)).manifest;
  await concurrently(files, filesAtOnce, ({ path }) => bring(path));
  await bring(bundleFiles.manifest);
}

function parseManifest(bytes: Uint8Array, where: string): Manifest {
  try {
    return readJson(manifestSchema, Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new PerennialError('bundle_invalid', `The manifest of ${where} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Whether the folder holds the registered manifest; if so, updates its last-used time. */
async function isThere({ bundleSha256 }: BundleAddress, folder: string): Promise<boolean> {
  const path = join(folder, bundleFiles.manifest);
  const bytes = await readFile(path).catch(() => null);
  if (bytes === null || hash('sha256', bytes) !== bundleSha256) return false;
  const now = new Date();
  await utimes(path, now, now).catch(() => undefined);
  return true;
}

/** Removes all but the last-used local copies; a copy is read only when its engine starts. */
async function forgetOldest(cacheFolder: string): Promise<void> {
  const names = (await readdir(cacheFolder)).filter((name) => !name.endsWith('.part'));
  const copies = await Promise.all(
    names.map(async (name) => ({ name, usedAt: await usedAt(join(cacheFolder, name)) })),
  );
  copies.sort((a, b) => b.usedAt - a.usedAt);
  for (const { name } of copies.slice(keptCopies)) await rm(join(cacheFolder, name), { recursive: true, force: true });
}

function usedAt(folder: string): Promise<number> {
  return stat(join(folder, bundleFiles.manifest)).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}

import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PerennialError } from '../../../contracts/errors.js';
import { localFolders, scratchFolder, type Config } from '../../../platform/config.js';
import { createProcessTempFolder } from '../../../platform/process-temp-folder.js';
import { createStorageGuard } from '../../../platform/storage-guard.js';
import type { IngestionDependencies } from '../dependencies.js';

/** An archive on the local disk, until it is removed. */
export interface LocalArchive {
  path: string;
  remove: () => Promise<void>;
}

const folders = new WeakMap<Config, Promise<string>>();

/**
 * Fetches an uploaded archive, because the list of a zip is at its end. Throws `insufficient_storage` when the disk has not
 * its size and MIN_FREE_BYTES free, and `not_found` when it was deleted.
 */
export async function fetchArchive(deps: IngestionDependencies, uploadId: string): Promise<LocalArchive> {
  const { uploads, objects, config } = deps;
  const [file] = await uploads.uploadFiles(uploadId);
  if (!file) throw new PerennialError('not_found', `Upload ${uploadId} has no file. Send the archive again.`);
  const storage = createStorageGuard({ folders: localFolders(config), minFreeBytes: config.MIN_FREE_BYTES });
  await storage.require('run', file.sizeBytes);
  const folder = join(await folderOf(config), randomUUID());
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const path = join(folder, 'archive');
  try {
    await mkdir(folder, { recursive: true });
    await objects.getToFile(file.objectKey, path);
  } catch (error) {
    await remove();
    throw error;
  }
  return { path, remove };
}

/** One folder for each process, so that what a killed one left is removed when the next one begins. */
function folderOf(config: Config): Promise<string> {
  const known = folders.get(config) ?? createProcessTempFolder(join(scratchFolder(config), 'ingestion'));
  folders.set(config, known);
  return known;
}

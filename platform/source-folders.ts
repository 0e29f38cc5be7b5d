import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PerennialError } from '../contracts/errors.js';
import type { Config } from './config.js';
import { isInside } from './is-inside.js';
import { packageRoot } from './paths.js';

/** The settings that say which folders a client may name as a source. */
export type SourceFolders = Pick<Config, 'PERENNIAL_HOME' | 'DATASET_DIR' | 'ALLOWED_SOURCE_ROOT'>;

/**
 * Throws `source_not_allowed` unless a folder, after links are followed, is below DATASET_DIR, the project's folder or a
 * folder of ALLOWED_SOURCE_ROOT. The data folder holds everybody's images, so a source is neither in it nor around it,
 * unless ALLOWED_SOURCE_ROOT names a folder in it, or DATASET_DIR is that very folder.
 */
export async function requireAllowedSource(settings: SourceFolders, path: string): Promise<void> {
  const folder = await realOrPlannedPath(path);
  const home = await realOrPlannedPath(settings.PERENNIAL_HOME);
  const dataset = settings.DATASET_DIR === undefined ? [] : [await realOrPlannedPath(settings.DATASET_DIR)];
  const named = [...dataset, ...(await Promise.all(settings.ALLOWED_SOURCE_ROOT.map(realOrPlannedPath)))];
  const touchesHome = isInside(home, folder) || isInside(folder, home);
  const isAllowed = touchesHome
    ? dataset.includes(folder) || named.some((root) => isInside(home, root) && isInside(root, folder))
    : [await realOrPlannedPath(packageRoot), ...named].some((root) => isInside(root, folder));
  if (isAllowed) return;
  throw new PerennialError(
    'source_not_allowed',
    touchesHome
      ? `The folder ${path} contains data of Perennial itself or lies in it (PERENNIAL_HOME). Copy the images to ` +
          'another folder that DATASET_DIR or ALLOWED_SOURCE_ROOT names, or upload them.'
      : `The folder ${path} is not below DATASET_DIR, the project or ALLOWED_SOURCE_ROOT. Add it to ` +
          'ALLOWED_SOURCE_ROOT (a comma-separated list), copy the images into one of these folders, or upload them.',
  );
}

/** The real path of a file or folder; of a missing one, the path that it would have. */
async function realOrPlannedPath(path: string): Promise<string> {
  const absolute = resolve(packageRoot, path);
  try {
    return await realpath(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute ? absolute : join(await realOrPlannedPath(parent), basename(absolute));
  }
}

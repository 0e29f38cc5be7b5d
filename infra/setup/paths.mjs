import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's top folder, whether this file runs from the sources or from `dist/`. */
export const packageRoot = findPackageRoot(dirname(fileURLToPath(import.meta.url)));

/**
 * @param {string} folder
 * @returns {string}
 */
function findPackageRoot(folder) {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('package.json was not found above ' + import.meta.url);
  return findPackageRoot(parent);
}

/** Build output and the state of set-up. */
export const buildFolder = join(packageRoot, 'dist');
export const stateFile = join(buildFolder, '.setup.json');
export const lockFile = join(buildFolder, '.setup.lock');

/**
 * The folder for downloads, outside the project: PERENNIAL_CACHE, or else the platform's cache folder.
 * @param {NodeJS.ProcessEnv} [environment]
 * @param {NodeJS.Platform} [platform]
 * @returns {string}
 */
export function cacheFolder(environment = process.env, platform = process.platform) {
  if (environment['PERENNIAL_CACHE']) return resolve(packageRoot, environment['PERENNIAL_CACHE']);
  if (environment['XDG_CACHE_HOME']) return join(environment['XDG_CACHE_HOME'], 'perennial');
  const home = environment['HOME'] ?? homedir();
  return platform === 'darwin' ? join(home, 'Library', 'Caches', 'perennial') : join(home, '.cache', 'perennial');
}

/** The entries of a data folder. `npm run reset` removes only these. */
export const dataFolderEntries = [
  'layout.json',
  'postgres',
  's3',
  'temporal',
  'bundles',
  'spool',
  'datasets',
  'scratch',
  'logs',
  'run',
];

/**
 * The folder with all state of the local stack. Must resolve PERENNIAL_HOME as platform/config.ts does.
 * @param {NodeJS.ProcessEnv} [environment]
 * @returns {string}
 */
export function dataFolder(environment = process.env) {
  return resolve(packageRoot, environment['PERENNIAL_HOME'] || '.perennial');
}

/**
 * The platform, as in versions.mjs.
 * @returns {string} for instance `linux-x64`
 */
export function platformKey() {
  return `${process.platform}-${process.arch}`;
}

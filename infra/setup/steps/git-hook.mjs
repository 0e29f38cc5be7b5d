import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { packageRoot } from '../paths.mjs';

/** @typedef {import('../run-setup.mjs').SetupStep} SetupStep */

/** Relative, so that it applies to every worktree of the clone; in one without this folder no hook runs. */
const hooksFolder = '.githooks';
const howToInstall = `git config core.hooksPath ${hooksFolder}`;
const failed = 'git refused the setting';

/** @type {SetupStep} */
export const gitHookStep = {
  name: 'Git hook',
  isForDevelopment: true,
  isDone: (state) => {
    const found = inspectHook(packageRoot, process.env);
    if (found.kind === 'foreign') return state['gitHook'] === found.reason;
    return found.kind !== 'missing' || state['gitHook'] === failed;
  },
  run: () => Promise.resolve(installHook(packageRoot, process.env)),
  advice: `Run ${howToInstall} yourself.`,
};

/**
 * `none`: there is no clone to install it in, or this is CI. `foreign`: the user has other hooks, which would no longer run.
 * @typedef {{ kind: 'none' | 'installed' | 'missing' } | { kind: 'foreign', reason: string }} HookState
 */

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} environment
 * @returns {HookState}
 */
export function inspectHook(root, environment) {
  if (environment['CI'] && environment['CI'] !== 'false') return { kind: 'none' };
  const top = git(root, environment, ['rev-parse', '--show-toplevel']);
  if (top === null || realpathSync(top) !== realpathSync(root)) return { kind: 'none' };
  const configured = git(root, environment, ['config', '--get', 'core.hooksPath']);
  if (configured === hooksFolder) return { kind: 'installed' };
  if (configured !== null) return { kind: 'foreign', reason: `core.hooksPath is ${configured}` };
  const own = ownHooks(root, environment);
  return own.length === 0
    ? { kind: 'missing' }
    : { kind: 'foreign', reason: `the clone has other hooks: ${own.join(', ')}` };
}

/**
 * Never fails: set-up must not depend on Git.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} environment
 * @returns {{ summary: string, state?: Record<string, string> }}
 */
export function installHook(root, environment) {
  const found = inspectHook(root, environment);
  if (found.kind === 'foreign') {
    return { summary: `not installed: ${found.reason}. To install: ${howToInstall}`, state: { gitHook: found.reason } };
  }
  if (found.kind === 'missing' && git(root, environment, ['config', 'core.hooksPath', hooksFolder]) === null) {
    return { summary: `not installed: ${failed}. To install: ${howToInstall}`, state: { gitHook: failed } };
  }
  return { summary: found.kind === 'none' ? 'not needed here' : 'formats and lints what is staged' };
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} environment
 */
function ownHooks(root, environment) {
  const folder = git(root, environment, ['rev-parse', '--git-path', 'hooks']);
  if (folder === null || !existsSync(resolve(root, folder))) return [];
  return readdirSync(resolve(root, folder)).filter((name) => !name.endsWith('.sample'));
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} environment
 * @param {string[]} args
 * @returns {string | null} null when Git is missing or fails, for instance because there is no such setting
 */
function git(root, environment, args) {
  const { status, stdout } = spawnSync('git', args, {
    cwd: root,
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return status === 0 ? stdout.trim() : null;
}

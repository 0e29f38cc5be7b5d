import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspectHook, installHook } from '../../../infra/setup/steps/git-hook.mjs';
import { packageRoot } from '../../../platform/paths.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();
/** Git without the settings of this machine, and outside of CI. */
const environment: NodeJS.ProcessEnv = {
  PATH: process.env['PATH'],
  HOME: folder,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: join(folder, 'no-settings'),
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
};

function git(root: string, ...args: string[]): string {
  return execFileSync('git', args, { cwd: root, env: environment, encoding: 'utf8', stdio: 'pipe' }).trim();
}

function createRepository(): string {
  const root = mkdtempSync(join(folder, 'repository-'));
  git(root, 'init', '--quiet');
  git(root, 'commit', '--quiet', '--allow-empty', '--message', 'Begin');
  return root;
}

/** A repository with the hook installed, the real Prettier and ESLint, and one lint rule. */
function createProject(): string {
  const root = createRepository();
  cpSync(join(packageRoot, '.githooks'), join(root, '.githooks'), { recursive: true });
  cpSync(join(packageRoot, '.lintstagedrc.json'), join(root, '.lintstagedrc.json'));
  symlinkSync(join(packageRoot, 'node_modules'), join(root, 'node_modules'));
  writeFileSync(join(root, '.gitignore'), 'node_modules\n');
  writeFileSync(join(root, '.prettierrc.json'), '{ "singleQuote": true }\n');
  writeFileSync(join(root, 'eslint.config.mjs'), `export default [{ rules: { 'no-var': 'error' } }];\n`);
  installHook(root, environment);
  return root;
}

function stage(root: string, name: string, content: string): void {
  writeFileSync(join(root, name), content);
  git(root, 'add', name);
}

function commit(root: string, ...paths: string[]): { status: number | null; output: string } {
  const args = ['commit', '--message', 'Change', ...paths];
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: root, env: environment, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

const unformatted = 'export const flower   = "dandelion"\n';
const formatted = `export const flower = 'dandelion';\n`;

describe('the pre-commit hook', () => {
  it('formats what is staged, in the commit and in the working tree', () => {
    const root = createProject();
    stage(root, 'flower.mjs', unformatted);
    stage(root, 'notes.txt', 'not   formatted');
    expect(commit(root)).toMatchObject({ status: 0 });
    expect(git(root, 'show', 'HEAD:flower.mjs')).toBe(formatted.trim());
    expect(readFileSync(join(root, 'flower.mjs'), 'utf8')).toBe(formatted);
    expect(git(root, 'status', '--porcelain', '--untracked-files=no')).toBe('');
  });

  it('refuses a lint error with its place, and changes nothing', () => {
    const root = createProject();
    stage(root, 'flower.mjs', unformatted);
    stage(root, 'grass.mjs', `export var grass = 1;\n`);
    const { status, output } = commit(root);
    expect(status).toBe(1);
    expect(output).toMatch(/grass\.mjs\s+1:8.*no-var/s);
    expect(git(root, 'show', ':flower.mjs')).toBe(unformatted.trim());
    expect(readFileSync(join(root, 'flower.mjs'), 'utf8')).toBe(unformatted);
  });

  it('refuses a file that cannot be parsed', () => {
    const root = createProject();
    stage(root, 'flower.mjs', 'export const = ;\n');
    const { status, output } = commit(root);
    expect(status).toBe(1);
    expect(output).toContain('flower.mjs');
  });

  it('checks only the staged part of a partially staged file, and keeps the unstaged changes', () => {
    const root = createProject();
    stage(root, 'flower.mjs', formatted);
    const more = `${formatted}var unstaged   = 1\n`;
    writeFileSync(join(root, 'flower.mjs'), more);
    expect(commit(root)).toMatchObject({ status: 0 });
    expect(git(root, 'show', 'HEAD:flower.mjs')).toBe(formatted.trim());
    expect(readFileSync(join(root, 'flower.mjs'), 'utf8')).toBe(more);
  });

  it('runs in another worktree of the clone', () => {
    const root = createProject();
    git(root, 'add', '.');
    commit(root);
    const other = join(folder, 'worktree');
    git(root, 'worktree', 'add', '--quiet', other);
    symlinkSync(join(packageRoot, 'node_modules'), join(other, 'node_modules'));
    expect(inspectHook(other, environment)).toEqual({ kind: 'installed' });
    stage(other, 'flower.mjs', unformatted);
    expect(commit(other)).toMatchObject({ status: 0 });
    expect(git(other, 'show', 'HEAD:flower.mjs')).toBe(formatted.trim());
  });
});

describe('set-up', () => {
  it('installs the hook once', () => {
    const root = createRepository();
    expect(inspectHook(root, environment)).toEqual({ kind: 'missing' });
    installHook(root, environment);
    expect(git(root, 'config', 'core.hooksPath')).toBe('.githooks');
    expect(inspectHook(root, environment)).toEqual({ kind: 'installed' });
  });

  it('keeps a core.hooksPath of the user and says so', () => {
    const root = createRepository();
    git(root, 'config', 'core.hooksPath', '/my/hooks');
    expect(installHook(root, environment).summary).toMatch(
      /^not installed: core\.hooksPath is \/my\/hooks\. .*git config core\.hooksPath \.githooks/,
    );
    expect(git(root, 'config', 'core.hooksPath')).toBe('/my/hooks');
  });

  it('keeps other hooks of the clone and says so', () => {
    const root = createRepository();
    mkdirSync(join(root, '.git', 'hooks'), { recursive: true });
    writeFileSync(join(root, '.git', 'hooks', 'pre-push'), '#!/bin/sh\n');
    expect(installHook(root, environment).summary).toContain('the clone has other hooks: pre-push');
    expect(() => git(root, 'config', 'core.hooksPath')).toThrow();
  });

  it('changes nothing in CI, outside of a clone, below another clone and without Git', () => {
    const outside = mkdtempSync(join(folder, 'outside-'));
    expect(installHook(outside, environment)).toEqual({ summary: 'not needed here' });
    expect(existsSync(join(outside, '.git'))).toBe(false);
    const root = createRepository();
    const below = join(root, 'below');
    mkdirSync(below);
    expect(inspectHook(below, environment)).toEqual({ kind: 'none' });
    expect(inspectHook(root, { ...environment, CI: 'true' })).toEqual({ kind: 'none' });
    expect(inspectHook(root, { ...environment, PATH: '/nowhere' })).toEqual({ kind: 'none' });
    expect(() => git(root, 'config', 'core.hooksPath')).toThrow();
  });
});

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

/**
 * A file as it is staged. It may differ from the file in the working tree.
 * @typedef {{ path: string, mode: string, blob: string }} StagedFile
 */

/**
 * Files that were added or changed, without symbolic links and submodules.
 * @returns {StagedFile[]}
 */
export function stagedFiles() {
  const records = git(['diff', '--cached', '--raw', '-z', '--no-abbrev', '--no-renames', '--diff-filter=AM']).split(
    '\0',
  );
  /** @type {StagedFile[]} */
  const files = [];
  // Each record is `:<old mode> <mode> <old blob> <blob> <status>`, followed by the path.
  for (let index = 0; index + 1 < records.length; index += 2) {
    const [, mode = '', , blob = ''] = (records[index] ?? '').split(' ');
    const path = records[index + 1] ?? '';
    if (mode.startsWith('100')) files.push({ path, mode, blob });
  }
  return files;
}

/** @param {StagedFile} file */
export function readStaged({ blob }) {
  return git(['cat-file', 'blob', blob]);
}

/**
 * Replaces the staged content. The file in the working tree is replaced only when it has no unstaged changes, so that
 * those are never lost.
 * @param {StagedFile} file
 * @param {string} content
 */
export function restage(file, content) {
  const hasUnstagedChanges = readOrNull(file.path) !== readStaged(file);
  const blob = git(['hash-object', '-w', '--stdin'], content).trim();
  git(['update-index', '--cacheinfo', `${file.mode},${blob},${file.path}`]);
  if (hasUnstagedChanges) return;
  writeFileSync(file.path, content);
  // Stores the new modification time in the index, so that the file counts as unchanged.
  git(['update-index', '-q', '--refresh']);
}

/**
 * Whether this is `git commit <paths>`. It commits from a temporary index, and a file that is restaged there would appear
 * as changed back in the real index.
 */
export function isTemporaryIndex(environment = process.env) {
  return /next-index-\d+\.lock$/.test(environment['GIT_INDEX_FILE'] ?? '');
}

/** @param {string} path */
function readOrNull(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/**
 * @param {string[]} args
 * @param {string} [input]
 */
function git(args, input = '') {
  const { status, stdout, stderr, error } = spawnSync('git', args, { input, encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`git ${args.join(' ')} failed: ${error?.message ?? stderr}`);
  return stdout;
}

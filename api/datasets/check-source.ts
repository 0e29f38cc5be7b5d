import { realpath } from 'node:fs/promises';
import { isAbsolute, resolve, sep } from 'node:path';
import type { Source } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { invalidRequest } from '../http/problems.js';

/**
 * Refuses a folder that a client may not read: a relative one, because processes have different working directories, or
 * one outside `root` after following links. Other source kinds pass.
 */
export async function checkSource(source: Source, root: string | null): Promise<void> {
  if (source.kind !== 'folder') return;
  if (!isAbsolute(source.path)) {
    throw invalidRequest([{ pointer: '#/source/path', detail: 'must be an absolute path' }]);
  }
  if (root === null) return;
  const [folder, allowed] = await Promise.all([realOrGiven(source.path), realOrGiven(root)]);
  if (folder !== allowed && !folder.startsWith(allowed.endsWith(sep) ? allowed : allowed + sep)) {
    throw new PerennialError(
      'source_not_found',
      'The folder is outside ALLOWED_SOURCE_ROOT. Copy the images into that folder, or upload them.',
    );
  }
}

/** A missing folder passes; ingestion reports it. */
async function realOrGiven(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return resolve(path);
  }
}

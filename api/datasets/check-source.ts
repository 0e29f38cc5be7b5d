import { realpath } from 'node:fs/promises';
import { isAbsolute, resolve, sep } from 'node:path';
import type { Source } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { invalidRequest } from '../http/problems.js';

/**
 * Refuses a folder that may not be read on behalf of a client: a relative one, which every process would understand
 * differently, or one outside `root` once links are followed. Other sources are as they are.
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
      'The folder does not lie below ALLOWED_SOURCE_ROOT. Copy the images there, or upload them.',
    );
  }
}

/** A folder that is not there cannot lead anywhere; ingestion reports it. */
async function realOrGiven(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return resolve(path);
  }
}

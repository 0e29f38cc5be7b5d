import { isAbsolute } from 'node:path';
import type { Source } from '../../contracts/datasets/datasets.js';
import { requireLayout } from '../../domain/datasets/existing-split.js';
import { readLayout } from '../../domain/datasets/source-layout.js';
import { bytePath, folderLister } from '../../platform/folder-names.js';
import { sourceFolderOf, type SourceBuckets } from '../../platform/source-buckets.js';
import { requireAllowedSource, type SourceFolders } from '../../platform/source-folders.js';
import { invalidRequest } from '../http/problems.js';

/**
 * Refuses a folder, file or bucket that a client may not read: a relative path, because processes have different working
 * directories, or one that no setting allows. Refuses a folder without class folders or with a split that `source.split`
 * does not decide on. Other source kinds pass. The worker checks again, because links may change until then.
 */
export async function checkSource(source: Source, folders: SourceFolders & SourceBuckets): Promise<void> {
  if (source.kind === 's3') sourceFolderOf(folders, source);
  if (!('path' in source)) return;
  if (!isAbsolute(source.path)) {
    throw invalidRequest([{ pointer: '#/source/path', detail: 'must be an absolute path' }]);
  }
  await requireAllowedSource(folders, source.path);
  if (source.kind !== 'folder') return;
  // A folder that only the worker can read has no entries here.
  const layout = await readLayout(folderLister(bytePath(source.path)));
  requireLayout(layout, source.split ?? null, source.path);
}

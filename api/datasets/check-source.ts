import { isAbsolute } from 'node:path';
import type { Source } from '../../contracts/datasets/datasets.js';
import { sourceFolderOf, type SourceBuckets } from '../../platform/source-buckets.js';
import { requireAllowedSource, type SourceFolders } from '../../platform/source-folders.js';
import { invalidRequest } from '../http/problems.js';

/**
 * Refuses a folder, file or bucket that a client may not read: a relative path, because processes have different working
 * directories, or one that no setting allows. Other source kinds pass. The worker checks again, because links may change until then.
 */
export async function checkSource(source: Source, folders: SourceFolders & SourceBuckets): Promise<void> {
  if (source.kind === 's3') sourceFolderOf(folders, source);
  if (!('path' in source)) return;
  if (!isAbsolute(source.path)) {
    throw invalidRequest([{ pointer: '#/source/path', detail: 'must be an absolute path' }]);
  }
  await requireAllowedSource(folders, source.path);
}

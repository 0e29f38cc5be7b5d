import type { FoundFile } from '../../../stores/datasets/scan-rows.js';
import { classifyPath, clutterOfPath, refusedFile, withShortPath } from '../classify-path.js';
import { countFile, type ScanTally } from '../scan-tally.js';
import type { ArchiveEntry } from './archive-entry.js';
import { archiveEntries } from './open-archive.js';

/**
 * Lists the files of an archive of class folders. A single folder around all class folders, as most programs pack it, is no
 * class. Nothing is yielded before the whole archive is known to be sound.
 */
export async function* scanArchive(
  path: string,
  maxFileBytes: number,
  tally: ScanTally,
  signal: AbortSignal,
): AsyncGenerator<FoundFile> {
  const entries = await listEntries(path, maxFileBytes, tally, signal);
  const around = folderAround(entries.flatMap((entry) => (entry.refusal === null ? [entry.path] : [])));
  const seen = new Set<string>();
  for (const [position, entry] of entries.entries()) {
    if (entry.refusal !== null || seen.has(entry.path)) {
      const detail = entry.refusal ?? 'The archive has two files of this name; only the first is read.';
      // The name may be that of another entry.
      yield withShortPath(refusedFile(`${entry.path} (entry ${position + 1})`, 'unsafe_entry', detail));
    } else {
      seen.add(entry.path);
      yield withShortPath(classifyPath(entry.path, entry.path.slice(around.length)));
    }
  }
}

type Listed = Pick<ArchiveEntry, 'path' | 'refusal'>;

async function listEntries(
  path: string,
  maxFileBytes: number,
  tally: ScanTally,
  signal: AbortSignal,
): Promise<Listed[]> {
  const entries: Listed[] = [];
  for await (const { path: name, refusal } of archiveEntries(path, maxFileBytes)) {
    signal.throwIfAborted();
    const clutter = refusal === null ? clutterOfPath(name) : null;
    if (clutter === null) entries.push({ path: name, refusal });
    else countFile(tally, clutter);
  }
  return entries;
}

/** `photos/` if every path lies below a folder of that folder; otherwise empty. */
function folderAround(paths: readonly string[]): string {
  const [first = ''] = paths;
  const folder = first.slice(0, first.indexOf('/') + 1);
  if (folder === '') return '';
  return paths.every((path) => path.startsWith(folder) && path.includes('/', folder.length)) ? folder : '';
}

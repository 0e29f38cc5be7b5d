import { createPathTree } from '../../../domain/datasets/path-tree.js';
import type { Ingestion } from '../../../stores/datasets/ingestions.js';
import { classifierOf, layoutOf } from '../classify-by-layout.js';
import type { IngestionDependencies } from '../dependencies.js';
import type { FoundFile } from '../../../stores/datasets/scan-rows.js';
import { clutterOfPath, refusedFile, withShortPath } from '../classify-path.js';
import { countFile, type ScanTally } from '../scan-tally.js';
import type { ArchiveEntry } from './archive-entry.js';
import { archiveEntries } from './open-archive.js';

/** The files of an archive that is known to be sound. */
export interface ScannedArchive {
  files: Iterable<FoundFile>;
  warnings: string[];
}

/** Reads an archive of class folders. Throws as `layoutOf`. */
export async function scanArchive(
  deps: Pick<IngestionDependencies, 'ingestions' | 'config'>,
  ingestion: Ingestion,
  path: string,
  { tally, signal }: { tally: ScanTally; signal: AbortSignal },
): Promise<ScannedArchive> {
  const entries = await listEntries(path, deps.config.MAX_UPLOAD_BYTES, tally, signal);
  const tree = createPathTree();
  for (const entry of entries) if (!entry.leadsOut) tree.add(entry.path);
  const { layout, warnings } = await layoutOf(deps, ingestion, tree.list);
  const classify = classifierOf(layout, ingestion.split, tally);
  return { files: foundFiles(entries, classify), warnings };
}

function* foundFiles(entries: readonly Listed[], classify: (path: string) => FoundFile): Generator<FoundFile> {
  const seen = new Set<string>();
  for (const [position, entry] of entries.entries()) {
    if (entry.refusal !== null || seen.has(entry.path)) {
      const detail = entry.refusal ?? 'The archive has two files of this name; only the first is read.';
      // The name may be that of another entry.
      yield withShortPath(refusedFile(`${entry.path} (entry ${position + 1})`, 'unsafe_entry', detail));
    } else {
      seen.add(entry.path);
      yield withShortPath(classify(entry.path));
    }
  }
}

type Listed = Pick<ArchiveEntry, 'path' | 'leadsOut' | 'refusal'>;

async function listEntries(
  path: string,
  maxFileBytes: number,
  tally: ScanTally,
  signal: AbortSignal,
): Promise<Listed[]> {
  const entries: Listed[] = [];
  for await (const { path: name, leadsOut, refusal } of archiveEntries(path, maxFileBytes)) {
    signal.throwIfAborted();
    const clutter = leadsOut ? null : clutterOfPath(name);
    if (clutter === null) entries.push({ path: name, leadsOut, refusal });
    else countFile(tally, clutter);
  }
  return entries;
}

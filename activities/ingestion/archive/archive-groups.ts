import type { SourceBytes } from '../source-bytes.js';
import { archiveEntries } from './open-archive.js';

/** Files of a source that are ingested together, and how they are read. */
export interface FileGroup {
  paths: readonly string[];
  read: (path: string) => Promise<SourceBytes>;
  /** The upload with which the bytes of refused files are kept, because their source is deleted. */
  keepIn?: string;
}

/** The most that is in memory at once: so many files, and so many bytes beyond one file. */
export const groupLimits = { files: 32, bytes: 64_000_000 } as const;

/** Reads the wanted files of an archive in one pass, in groups. Those that it no longer has come last, as unreadable. */
export async function* archiveGroups(
  path: string,
  wanted: ReadonlySet<string>,
  maxFileBytes: number,
  signal: AbortSignal,
): AsyncGenerator<FileGroup> {
  const missing = new Set(wanted);
  let group = new Map<string, SourceBytes>();
  let bytes = 0;
  for await (const entry of archiveEntries(path, maxFileBytes)) {
    signal.throwIfAborted();
    if (entry.refusal !== null || !missing.delete(entry.path)) continue;
    const content = await entry.read();
    group.set(entry.path, content);
    bytes += 'bytes' in content ? content.bytes.byteLength : 0;
    if (group.size < groupLimits.files && bytes < groupLimits.bytes) continue;
    yield groupOf(group);
    group = new Map();
    bytes = 0;
  }
  if (group.size > 0) yield groupOf(group);
  const rest = [...missing];
  for (let from = 0; from < rest.length; from += groupLimits.files) {
    yield { paths: rest.slice(from, from + groupLimits.files), read: () => Promise.resolve(vanished) };
  }
}

const vanished: SourceBytes = { reason: 'unreadable', detail: 'The archive changed: it no longer has this file.' };

function groupOf(contents: ReadonlyMap<string, SourceBytes>): FileGroup {
  return { paths: [...contents.keys()], read: (path) => Promise.resolve(contents.get(path) ?? vanished) };
}

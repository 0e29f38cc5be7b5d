import { concurrently } from '../../platform/concurrently.js';
import type { Ingestion } from '../../stores/datasets/ingestions.js';
import type { Report } from '../runtime/heartbeat.js';
import type { FileGroup } from './archive/archive-groups.js';
import type { IngestionDependencies } from './dependencies.js';
import { ingestFiles, type FoundImages } from './ingest-files.js';
import { pendingGroups } from './read-source.js';
import type { SourceBytes } from './source-bytes.js';

export interface BatchResult {
  pending: number;
  accepted: number;
  quarantined: number;
  newImages: number;
  duplicates: number;
}

/** Sets of files in progress: while one is decoded, others are read, looked up, uploaded or recorded. */
const setsAtOnce = 4;

/** The most files of a set, which share each statement and are recorded by one transaction: a killed worker repeats them. */
const filesPerSet = 32;

/** A set is complete at so many bytes, so that all sets together hold 64 MB, and a file more each. */
const bytesPerSet = 16_000_000;

/** Processes at most `limit` pending files (all of an archive). */
export async function ingestBatch(
  deps: IngestionDependencies,
  ingestion: Ingestion,
  limit: number,
  report: Report,
  signal: AbortSignal,
): Promise<BatchResult> {
  let settled = 0;
  for await (const group of pendingGroups(deps, ingestion, limit, signal)) {
    const tools = { ...deps, ingestion, group, signal };
    const images: FoundImages = new Map();
    await concurrently(
      partsOf(group.paths),
      setsAtOnce,
      async (paths) => {
        for await (const files of readSets(group, paths, signal)) {
          await ingestFiles(tools, files, images);
          settled += files.size;
          report({ settled });
        }
      },
      signal,
    );
  }
  const { quarantined, pending, accepted, newImages, duplicates } = await deps.ingestions.counts(ingestion.id);
  const refused = Object.values(quarantined).reduce((sum, count) => sum + count, 0);
  return { pending, accepted, quarantined: refused, newImages, duplicates };
}

/** Parts for sets, small enough that even the files of a small group are in several. */
function partsOf(paths: readonly string[]): string[][] {
  const size = Math.max(1, Math.min(filesPerSet, Math.ceil(paths.length / setsAtOnce)));
  return Array.from({ length: Math.ceil(paths.length / size) }, (_, part) =>
    paths.slice(part * size, (part + 1) * size),
  );
}

/** Reads files in sets that fit into memory. */
async function* readSets(
  { read }: FileGroup,
  paths: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Map<string, SourceBytes>> {
  let files = new Map<string, SourceBytes>();
  let sizeBytes = 0;
  for (const path of paths) {
    signal.throwIfAborted();
    const content = await read(path);
    files.set(path, content);
    sizeBytes += 'bytes' in content ? content.bytes.byteLength : 0;
    if (sizeBytes < bytesPerSet) continue;
    yield files;
    files = new Map();
    sizeBytes = 0;
  }
  if (files.size > 0) yield files;
}

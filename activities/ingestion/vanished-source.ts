import { resolve } from 'node:path';
import type { Source } from '../../contracts/datasets/datasets.js';
import { errorCodeOf, messageOf, PerennialError } from '../../contracts/errors.js';
import { adviseOnConflicts } from '../../domain/datasets/conflict-advice.js';
import { packageRoot } from '../../platform/paths.js';
import type { SourceStore } from '../../stores/datasets/sources.js';
import { createSourcePresence, type SourcePlaces } from '../../stores/objects/source-presence.js';

interface KnownSources {
  sources: Pick<SourceStore, 'conflicts' | 'find' | 'notePresence' | 'places'>;
}

/** What a dataset ingests from. */
interface Place {
  dataset: string;
  kind: string;
  locator: string;
}

/** The place that a source names by a path; null for one that is no path. */
export function namedPlace(dataset: string, source: Source): Place | null {
  return 'path' in source ? { dataset, kind: source.kind, locator: resolve(packageRoot, source.path) } : null;
}

/** Adds what can be done to the error about a source that is gone, if the dataset holds images of it. */
export async function adviseOnVanished(
  { sources }: KnownSources,
  place: Place | null,
  error: unknown,
): Promise<unknown> {
  const code = errorCodeOf(error);
  if (place === null || !isGone(code, place)) return error;
  const { dataset, kind, locator } = place;
  const id = await sources.find(dataset, kind, locator);
  if (id === null) return error;
  await sources.notePresence([{ id, isThere: false }]);
  return new PerennialError(
    code,
    `${messageOf(error)} It is source ${id} of dataset ${dataset}. If it was moved, ingest its new place with "replaces": ${id}; to give up its images, DELETE /api/v1/datasets/${dataset}/sources/${id}.`,
    { cause: error },
  );
}

/** A bucket knows no folders: a prefix without objects is gone. */
function isGone(code: string, { kind }: Place): boolean {
  return code === 'source_not_found' || (code === 'source_empty' && kind === 's3');
}

/** Notes which sources of the dataset are at their place, and says what to do about the conflicts of a version. */
export async function adviseAfterCommit(
  { sources, ...places }: KnownSources & SourcePlaces,
  dataset: string,
  { version, conflicts }: { version: number; conflicts: number },
): Promise<string | null> {
  await notePresence(sources, places, dataset);
  if (conflicts === 0) return null;
  const found = await sources.conflicts(dataset, version);
  return adviseOnConflicts(
    dataset,
    found.map(({ sha256, files }) => ({
      sha256,
      files: files.map((file) => ({ ...file, missing: file.missingSince !== null })),
    })),
    conflicts,
  );
}

async function notePresence(sources: KnownSources['sources'], places: SourcePlaces, dataset: string): Promise<void> {
  const presenceOf = createSourcePresence(places);
  const looked = await Promise.all(
    (await sources.places(dataset)).map(async (source) => ({ ...source, presence: await presenceOf(source) })),
  );
  // Of a server that does not answer nothing is known; a path that this worker cannot see is gone for ingestions.
  const seen = looked.filter(({ kind, presence }) => kind !== 's3' || presence !== 'unknown');
  await sources.notePresence(seen.map(({ id, presence }) => ({ id, isThere: presence === 'there' })));
}

import { stat } from 'node:fs/promises';
import type { Source } from '../../contracts/datasets/datasets.js';
import { errorCodeOf, messageOf, PerennialError } from '../../contracts/errors.js';
import { adviseOnConflicts } from '../../domain/datasets/conflict-advice.js';
import type { SourceStore } from '../../stores/datasets/sources.js';

interface KnownSources {
  sources: Pick<SourceStore, 'conflicts' | 'find' | 'folders' | 'notePresence'>;
}

/** Adds what can be done to the error about a folder that is gone, if the dataset holds images of it. */
export async function adviseOnVanished(
  { sources }: KnownSources,
  { dataset, source }: { dataset: string; source: Source },
  error: unknown,
): Promise<unknown> {
  if (errorCodeOf(error) !== 'source_not_found' || source.kind !== 'folder') return error;
  const id = await sources.find(dataset, 'folder', source.path);
  if (id === null) return error;
  await sources.notePresence([{ id, isThere: false }]);
  return new PerennialError(
    'source_not_found',
    `${messageOf(error)} It is source ${id} of dataset ${dataset}. If it was moved, ingest the new folder with "replaces": ${id}; to give up its images, DELETE /api/v1/datasets/${dataset}/sources/${id}.`,
    { cause: error },
  );
}

/** Notes which folders of the dataset are at their place, and says what to do about the conflicts of a version. */
export async function adviseAfterCommit(
  { sources }: KnownSources,
  dataset: string,
  { version, conflicts }: { version: number; conflicts: number },
): Promise<string | null> {
  const folders = await sources.folders(dataset);
  const presence = await Promise.all(folders.map(async ({ id, locator }) => ({ id, isThere: await isThere(locator) })));
  await sources.notePresence(presence);
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

async function isThere(folder: string): Promise<boolean> {
  return stat(folder).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}

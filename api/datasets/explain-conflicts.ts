import { adviseOnConflict, type ConflictingFile } from '../../domain/datasets/conflict-advice.js';
import type { DatasetVersionDetail } from '../../stores/datasets/datasets.js';
import type { SourcedConflict, SourceStore } from '../../stores/datasets/sources.js';
import type { SourcePresence } from '../../stores/objects/source-presence.js';
import { isMissing } from './source-presence.js';

type Explained = DatasetVersionDetail['conflicts'][number] & {
  files: (ConflictingFile & { path: string })[];
  remedy: string;
};

/** Tells of each conflict of a version which sources hold the image now, and what can be done. */
export async function explainConflicts(
  { sources, sourcePresence }: { sources: Pick<SourceStore, 'conflicts'>; sourcePresence: SourcePresence },
  { dataset, version, conflicts }: DatasetVersionDetail,
): Promise<Explained[]> {
  if (conflicts.length === 0) return [];
  const sourced = new Map((await sources.conflicts(dataset, version)).map(({ sha256, files }) => [sha256, files]));
  const missing = await missingSources(sourcePresence, [...sourced.values()].flat());
  return conflicts.map((conflict) => {
    const files = (sourced.get(conflict.sha256) ?? []).map((file) => ({
      ...file,
      missing: missing.has(file.sourceId),
    }));
    return { ...conflict, files, remedy: adviseOnConflict(dataset, { sha256: conflict.sha256, files }) };
  });
}

async function missingSources(
  presence: SourcePresence,
  files: readonly SourcedConflict['files'][number][],
): Promise<Set<number>> {
  const sources = [...new Map(files.map((file) => [file.sourceId, file])).values()];
  const looked = await Promise.all(
    sources.map(async (source) => ({ source, missing: await isMissing(presence, source) })),
  );
  return new Set(looked.filter(({ missing }) => missing).map(({ source }) => source.sourceId));
}

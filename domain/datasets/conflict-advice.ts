/** A file of an attached source that holds an image of a conflict. */
export interface ConflictingFile {
  sourceId: number;
  kind: string;
  locator: string;
  /** Whether the folder of the source is not at its place. */
  missing: boolean;
  label: string;
}

interface Conflicting {
  sha256: string;
  files: readonly ConflictingFile[];
}

/** What a user can do about one conflict of a version; says so when no source says anything else any more. */
export function adviseOnConflict(dataset: string, { sha256, files }: Conflicting): string {
  const sources = bySource(files);
  if (new Set(files.map(({ label }) => label)).size < 2) {
    return 'The sources no longer name two labels for this image: the conflict is solved in the current version, or by the next ingestion.';
  }
  return `${tell(sources)}. ${waysOut(dataset, sources, sha256)}`;
}

/** At most this many groups of sources are spelled out. */
const shownGroups = 3;

/** What a user can do about the conflicts of a version, in one text; null without conflicts. */
export function adviseOnConflicts(
  dataset: string,
  conflicts: readonly Conflicting[],
  total = conflicts.length,
): string | null {
  const [first] = conflicts;
  if (total === 0 || !first) return null;
  const groups = new Map<string, { images: number; sources: SourceSaying[]; sha256: string }>();
  for (const { sha256, files } of conflicts) {
    const sources = bySource(files);
    const key = tell(sources);
    const group = groups.get(key) ?? { images: 0, sources, sha256 };
    groups.set(key, { ...group, images: group.images + 1 });
  }
  const largest = [...groups].sort(([, a], [, b]) => b.images - a.images).slice(0, shownGroups);
  const told = largest.map(
    ([said, { images, sources, sha256 }]) =>
      `${groups.size === 1 ? '' : `${images} of them: `}${said}. ${waysOut(dataset, sources, images === 1 ? sha256 : '{sha256}')}`,
  );
  const more = groups.size > shownGroups ? ' The page of the version lists the others.' : '';
  return `${total === 1 ? 'One image appears' : `${total} images appear`} under two labels and ${total === 1 ? 'is' : 'are'} in no version until that is solved. ${told.join(' ')}${more}`;
}

interface SourceSaying extends Omit<ConflictingFile, 'label'> {
  labels: string[];
}

function bySource(files: readonly ConflictingFile[]): SourceSaying[] {
  const sources = new Map<number, SourceSaying>();
  for (const { label, ...source } of files) {
    const labels = sources.get(source.sourceId)?.labels ?? [];
    sources.set(source.sourceId, { ...source, labels: [...new Set([...labels, label])].sort() });
  }
  return [...sources.values()];
}

function tell(sources: readonly SourceSaying[]): string {
  const said = sources.map(describe).join(', ');
  return said.charAt(0).toUpperCase() + said.slice(1);
}

function describe({ sourceId, kind, locator, missing, labels }: SourceSaying): string {
  const gone = missing ? ', no longer there' : '';
  return `source ${sourceId} (${kind} ${locator}${gone}) says ${labels.map((label) => JSON.stringify(label)).join(' and ')}`;
}

function waysOut(dataset: string, sources: readonly SourceSaying[], sha256: string): string {
  const path = `/api/v1/datasets/${dataset}`;
  const relabel = `PATCH ${path}/images/${sha256} with {"label": "…"}`;
  const missing = sources.filter((source) => source.missing);
  const [gone] = missing;
  if (gone && sources.length > 1) {
    return `If the folder was moved, detach its former place: DELETE ${path}/sources/${gone.sourceId}. Otherwise set the right label: ${relabel}.`;
  }
  if (sources.length < 2) return `Set the right label: ${relabel}; or leave the image in one class folder.`;
  const detach = sources.map(({ sourceId }) => `DELETE ${path}/sources/${sourceId}`).join(' or ');
  return `Set the right label: ${relabel}; or detach the wrong source: ${detach}.`;
}

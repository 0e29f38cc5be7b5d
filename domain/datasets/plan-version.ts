import type {
  DatasetStatistics,
  Example,
  ImageFacts,
  QuarantineReason,
  Split,
} from '../../contracts/datasets/datasets.js';
import { assignSplit } from './assign-split.js';
import { datasetDigest } from './dataset-digest.js';
import { describeVersion } from './describe-version.js';
import { dvcDirectory, type DvcDirectory } from './dvc-directory.js';

/** A file of one of a dataset's sources whose image was accepted. */
export interface Member extends ImageFacts {
  label: string;
  /** Source and path, for messages. */
  where: string;
}

/** An image that appears under more than one label and is therefore in no version. */
export interface Conflict {
  sha256: string;
  labels: string[];
  paths: string[];
}

export interface DatasetState {
  members: readonly Member[];
  /** Split of every image that this dataset has ever had. */
  sides: ReadonlyMap<string, Split>;
  quarantined: Readonly<Partial<Record<QuarantineReason, number>>>;
}

export interface VersionPlan {
  examples: Example[];
  /** The examples that had no split before. */
  newExamples: Example[];
  conflicts: Conflict[];
  /** See `datasetDigest`. */
  digest: string;
  dvc: DvcDirectory;
  statistics: DatasetStatistics;
}

/** Plans the next version of a dataset from what its sources hold now. */
export function planVersion({ members, sides, quarantined }: DatasetState): VersionPlan {
  const groups = groupByImage(members);
  const conflicts = [...groups.values()].filter((group) => labelsOf(group).length > 1).map(conflictOf);
  const images = [...groups.values()].flatMap((group) => (labelsOf(group).length === 1 ? group.slice(0, 1) : []));
  const settled = images.flatMap(({ sha256, label }) => {
    const split = sides.get(sha256);
    return split ? [{ sha256, label, side: split }] : [];
  });
  const newExamples = assignSplit(
    settled,
    images.filter(({ sha256 }) => !sides.has(sha256)),
  );
  const examples = [...settled, ...newExamples].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  return {
    examples,
    newExamples,
    conflicts,
    digest: datasetDigest(examples),
    dvc: dvcDirectory(images),
    statistics: describeVersion({ images, examples, conflicts: conflicts.length, quarantined, members }),
  };
}

function groupByImage(members: readonly Member[]): Map<string, Member[]> {
  const groups = new Map<string, Member[]>();
  for (const member of members) {
    const group = groups.get(member.sha256);
    if (group) group.push(member);
    else groups.set(member.sha256, [member]);
  }
  return groups;
}

function labelsOf(group: readonly Member[]): string[] {
  return [...new Set(group.map(({ label }) => label))].sort();
}

function conflictOf(group: readonly Member[]): Conflict {
  return {
    sha256: group[0]?.sha256 ?? '',
    labels: labelsOf(group),
    paths: group.map(({ where }) => where).sort(),
  };
}

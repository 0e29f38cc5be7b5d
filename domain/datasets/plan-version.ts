import type {
  DatasetStatistics,
  Example,
  ImageFacts,
  QuarantineReason,
  Skipped,
  Split,
} from '../../contracts/datasets/datasets.js';
import { assignSplit } from './assign-split.js';
import { datasetDigest } from './dataset-digest.js';
import { describeVersion } from './describe-version.js';
import { dvcDirectory, type DvcDirectory } from './dvc-directory.js';
import { allowedOf, leakWarnings } from './split-leaks.js';
import { similarLabels } from './similar-labels.js';
import { groupByPicture, pictureOf } from './same-picture.js';

/** A file of one of a dataset's sources whose image was accepted. */
export interface Member extends ImageFacts {
  label: string;
  /** The splits that its folder in an existing split allows; null for any. */
  splits?: readonly Split[] | null;
  /** See `PixelIdentity`; null where it is not known. */
  pixelSha256?: string | null | undefined;
  perceptualHash?: string | null | undefined;
  /** Source and path, for messages. */
  where: string;
}

/** An image that appears under more than one label and is therefore in no version. */
export interface Conflict {
  sha256: string;
  /** Of every file that shows it. */
  sha256s: string[];
  labels: string[];
  paths: string[];
}

export interface DatasetState {
  members: readonly Member[];
  /** Split of every image that this dataset has ever had, by the SHA-256 of its bytes and by that of its pixels. */
  sides: ReadonlyMap<string, Split>;
  quarantined: Readonly<Partial<Record<QuarantineReason, number>>>;
  skipped?: Skipped;
  /** What the scans of the sources found worth a look. */
  warnings?: readonly string[];
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
export function planVersion({ members, sides, quarantined, skipped = {}, warnings = [] }: DatasetState): VersionPlan {
  const groups = groupByPicture(members, sides);
  const groupOf = new Map(groups.map((group) => [group[0]?.sha256 ?? '', group]));
  const conflicts = groups.filter((group) => labelsOf(group).length > 1).map(conflictOf);
  const images = groups.flatMap((group) => (labelsOf(group).length === 1 ? group.slice(0, 1) : []));
  // A copy in another file takes the split of the image: the same pixels are never trained on and tested.
  const splitOf = (image: Member): Split | undefined => sides.get(image.sha256) ?? sides.get(pictureOf(image));
  const settled = images.flatMap((image) => {
    const split = splitOf(image);
    return split ? [{ sha256: image.sha256, label: image.label, side: split }] : [];
  });
  const assigned = assignSplit(
    settled,
    images
      .filter((image) => splitOf(image) === undefined)
      .map(({ sha256, label }) => ({ sha256, label, splits: allowedOf(groupOf.get(sha256) ?? []) })),
  );
  const examples = [...settled, ...assigned].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  const newExamples = examples.filter(({ sha256 }) => !sides.has(sha256));
  return {
    examples,
    newExamples,
    conflicts,
    digest: datasetDigest(examples),
    dvc: dvcDirectory(images),
    statistics: {
      ...describeVersion({ images, examples, conflicts: conflicts.length, quarantined, members }),
      skipped,
      warnings: [...warnings, ...labelWarnings(examples), ...leakWarnings(groupOf, examples)],
    },
  };
}

function labelWarnings(examples: readonly Example[]): string[] {
  const groups = similarLabels([...new Set(examples.map(({ label }) => label))]);
  return groups.map(
    (group) =>
      `The classes ${group.map((label) => `“${label}”`).join(', ')} have nearly the same name. If they are one class, give their folders one name.`,
  );
}

function labelsOf(group: readonly Member[]): string[] {
  return [...new Set(group.map(({ label }) => label))].sort();
}

function conflictOf(group: readonly Member[]): Conflict {
  return {
    sha256: group[0]?.sha256 ?? '',
    sha256s: [...new Set(group.map(({ sha256 }) => sha256))],
    labels: labelsOf(group),
    paths: group.map(({ where }) => where).sort(),
  };
}

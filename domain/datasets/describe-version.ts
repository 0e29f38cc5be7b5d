import type { DatasetStatistics, Example, ImageFacts, Split } from '../../contracts/datasets/datasets.js';
import { findNearDuplicates } from './near-duplicates.js';
import { pictureOf, type Picture } from './same-picture.js';

interface Described {
  images: readonly (ImageFacts & { label: string; perceptualHash?: string | null | undefined })[];
  examples: readonly Example[];
  /** Every accepted file, including duplicates and conflicts. */
  members: readonly (Picture & { label: string })[];
  conflicts: number;
  quarantined: DatasetStatistics['quarantined'];
}

/** Computes the statistics of a dataset version. */
export function describeVersion({
  images,
  examples,
  members,
  conflicts,
  quarantined,
}: Described): Omit<DatasetStatistics, 'skipped' | 'warnings'> {
  const classes = countBy(examples.map(({ label }) => label));
  const sizes = Object.values(classes);
  return {
    images: images.length,
    bytes: images.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    classes,
    sides: {
      train: classesOf('train', examples, classes),
      validation: classesOf('validation', examples, classes),
      test: classesOf('test', examples, classes),
    },
    formats: countBy(images.map(({ format }) => format)),
    width: rangeOf(images.map(({ width }) => width)),
    height: rangeOf(images.map(({ height }) => height)),
    imbalanceRatio: sizes.length === 0 ? 1 : Math.max(...sizes) / Math.min(...sizes),
    duplicates: members.length - new Set(members.map((member) => `${pictureOf(member)} ${member.label}`)).size,
    quarantined: { ...quarantined },
    conflicts,
    nearDuplicates: findNearDuplicates(examples, hashesOf(images)),
  };
}

function hashesOf(images: Described['images']): Map<string, string> {
  return new Map(images.flatMap(({ sha256, perceptualHash }) => (perceptualHash ? [[sha256, perceptualHash]] : [])));
}

function classesOf(
  split: Split,
  examples: readonly Example[],
  classes: Record<string, number>,
): Record<string, number> {
  const none = Object.fromEntries(Object.keys(classes).map((label) => [label, 0]));
  return { ...none, ...countBy(examples.filter((example) => example.side === split).map(({ label }) => label)) };
}

function countBy(keys: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function rangeOf(values: readonly number[]): { min: number; mean: number; max: number } {
  if (values.length === 0) return { min: 0, mean: 0, max: 0 };
  let min = Infinity;
  let max = 0;
  let sum = 0;
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
  }
  return { min, mean: sum / values.length, max };
}

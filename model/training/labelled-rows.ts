import type { Example, Split } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';

/** The examples of a training in a fixed order; a row is a position in it. */
export interface LabelledRows {
  sha256s: string[];
  /** Index of each row's label. */
  truths: number[];
  splits: Record<Split, number[]>;
}

/**
 * Sorts examples by digest, so that the outcome of a training does not depend on the order they came in. Throws
 * dataset_too_small when a split is empty or a label has no training example.
 */
export function orderExamples(examples: readonly Example[], labels: readonly string[]): LabelledRows {
  const ordered = [...examples].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  const rows: LabelledRows = { sha256s: [], truths: [], splits: { train: [], validation: [], test: [] } };
  ordered.forEach(({ sha256, label, side }, row) => {
    const truth = labels.indexOf(label);
    if (truth < 0)
      throw new PerennialError('bad_request', `Image ${sha256} has the label ${label}, which is not listed.`);
    rows.sha256s.push(sha256);
    rows.truths.push(truth);
    rows.splits[side].push(row);
  });
  for (const [split, members] of Object.entries(rows.splits)) {
    if (members.length === 0) {
      throw new PerennialError('dataset_too_small', `The ${split} split holds no image; add images and ingest again.`);
    }
  }
  const counts = countLabels(rows.truths, rows.splits.train, labels.length);
  const absent = labels.find((_, index) => counts[index] === 0);
  if (absent !== undefined) {
    throw new PerennialError(
      'dataset_too_small',
      `No training image is labelled ${absent}; add some and ingest again.`,
    );
  }
  return rows;
}

/** How many of the rows have each label. */
export function countLabels(truths: readonly number[], rows: readonly number[], classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const row of rows) {
    const truth = truths[row] ?? 0;
    counts[truth] = (counts[truth] ?? 0) + 1;
  }
  return counts;
}

/** Weight of each class in the loss: such that every class weighs the same in total, or 1 for all. */
export function classWeightsOf(counts: readonly number[], isWeighted: boolean): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => (isWeighted && count > 0 ? total / (counts.length * count) : 1));
}

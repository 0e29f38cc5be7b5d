import { splits, type Example, type Split } from '../../contracts/datasets/datasets.js';

/** Share of each class that goes to a split. */
const shares: Readonly<Record<Split, number>> = { train: 0.7, validation: 0.15, test: 0.15 };

type Counts = Record<Split, number>;

/** An image without a split; `splits` are those that it may get, null for any. */
export interface NewImage {
  sha256: string;
  label: string;
  splits?: readonly Split[] | null;
}

/**
 * Assigns a split to images that have none yet. Images are taken in the order of their hashes, which is effectively
 * random, those with the fewest splits to choose from first; each goes to the split that lacks its class most: an empty
 * split first, then the one furthest below its share. `settled` are the images that have a split already; a split is never changed.
 */
export function assignSplit(settled: readonly Example[], newImages: readonly NewImage[]): Example[] {
  const countsOfClass = new Map<string, Counts>();
  const countsOf = (label: string): Counts => {
    const counts = countsOfClass.get(label) ?? { train: 0, validation: 0, test: 0 };
    countsOfClass.set(label, counts);
    return counts;
  };
  for (const { label, side } of settled) countsOf(label)[side] += 1;
  const choices = ({ splits: allowed }: NewImage): number => (allowed ?? splits).length;
  const inOrder = [...newImages].sort((a, b) => choices(a) - choices(b) || (a.sha256 < b.sha256 ? -1 : 1));
  return inOrder.map(({ sha256, label, splits: allowed }) => {
    const counts = countsOf(label);
    const split = neediest(counts, allowed ?? splits);
    counts[split] += 1;
    return { sha256, label, side: split };
  });
}

function neediest(counts: Counts, allowed: readonly Split[]): Split {
  const total = allowed.reduce((sum, split) => sum + counts[split], 0);
  const shareOfAll = allowed.reduce((sum, split) => sum + shares[split], 0);
  const need = (split: Split): number =>
    counts[split] === 0 ? Number.POSITIVE_INFINITY : (shares[split] / shareOfAll) * (total + 1) - counts[split];
  return allowed.reduce((best, split) => (need(split) > need(best) ? split : best));
}

import { splits, type Example, type Split } from '../../contracts/datasets/datasets.js';

/** Share of each class that goes to a split. */
const shares: Readonly<Record<Split, number>> = { train: 0.7, validation: 0.15, test: 0.15 };

type Counts = Record<Split, number>;

/**
 * Assigns a split to images that have none yet. Images are taken in the order of their hashes, which is effectively
 * random; each goes to the split that lacks its class most: an empty split first, then the one furthest below its
 * share. `settled` are the images that have a split already; a split is never changed.
 */
export function assignSplit(
  settled: readonly Example[],
  newImages: readonly { sha256: string; label: string }[],
): Example[] {
  const countsOfClass = new Map<string, Counts>();
  const countsOf = (label: string): Counts => {
    const counts = countsOfClass.get(label) ?? { train: 0, validation: 0, test: 0 };
    countsOfClass.set(label, counts);
    return counts;
  };
  for (const { label, side } of settled) countsOf(label)[side] += 1;
  const inHashOrder = [...newImages].sort((a, b) => (a.sha256 < b.sha256 ? -1 : a.sha256 > b.sha256 ? 1 : 0));
  return inHashOrder.map(({ sha256, label }) => {
    const counts = countsOf(label);
    const split = neediest(counts);
    counts[split] += 1;
    return { sha256, label, side: split };
  });
}

function neediest(counts: Counts): Split {
  const total = splits.reduce((sum, split) => sum + counts[split], 0);
  const need = (split: Split): number =>
    counts[split] === 0 ? Number.POSITIVE_INFINITY : shares[split] * (total + 1) - counts[split];
  return splits.reduce((best, split) => (need(split) > need(best) ? split : best));
}

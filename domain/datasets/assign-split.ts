import { splits, type Example, type Split } from '../../contracts/datasets/datasets.js';

/** Share of each class that a side is to hold. */
const shares: Readonly<Record<Split, number>> = { train: 0.7, validation: 0.15, test: 0.15 };

type Counts = Record<Split, number>;

/**
 * Decides the side of images that have none yet. In the order of their hashes, which nobody chooses, each goes to
 * the side its class needs most: an empty one first, then the one furthest below its share. `settled` are the
 * images whose side is known, for ever.
 */
export function assignSplit(
  settled: readonly Example[],
  arrivals: readonly { sha256: string; label: string }[],
): Example[] {
  const countsOfClass = new Map<string, Counts>();
  const countsOf = (label: string): Counts => {
    const counts = countsOfClass.get(label) ?? { train: 0, validation: 0, test: 0 };
    countsOfClass.set(label, counts);
    return counts;
  };
  for (const { label, side } of settled) countsOf(label)[side] += 1;
  const inHashOrder = [...arrivals].sort((a, b) => (a.sha256 < b.sha256 ? -1 : a.sha256 > b.sha256 ? 1 : 0));
  return inHashOrder.map(({ sha256, label }) => {
    const counts = countsOf(label);
    const side = neediest(counts);
    counts[side] += 1;
    return { sha256, label, side };
  });
}

function neediest(counts: Counts): Split {
  const total = splits.reduce((sum, side) => sum + counts[side], 0);
  const need = (side: Split): number =>
    counts[side] === 0 ? Number.POSITIVE_INFINITY : shares[side] * (total + 1) - counts[side];
  return splits.reduce((best, side) => (need(side) > need(best) ? side : best));
}

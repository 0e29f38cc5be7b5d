import { splits, type Example, type Split } from '../../contracts/datasets/datasets.js';

/** A file of an image, with the splits that an existing split allows it; null for any. */
interface PlacedFile {
  splits?: readonly Split[] | null;
  where: string;
}

const shown = 3;

/**
 * The splits that an image may get. One that lies on several sides of an existing split stays on the side that is
 * measured, test before validation before train: a model must not be tested on images that it was trained on.
 */
export function allowedOf(files: readonly PlacedFile[]): readonly Split[] | null {
  const given = files.flatMap(({ splits: allowed }) => (allowed ? [allowed] : []));
  const latest = (allowed: readonly Split[]): number => Math.max(...allowed.map((split) => splits.indexOf(split)));
  return given.reduce<readonly Split[] | null>((best, each) => {
    if (best === null || isTighter(each, best)) return each;
    return meet(each, best) || latest(each) <= latest(best) ? best : each;
  }, null);
}

function isTighter(a: readonly Split[], b: readonly Split[]): boolean {
  return a.length < b.length && a.every((split) => b.includes(split));
}

function meet(a: readonly Split[], b: readonly Split[]): boolean {
  return a.some((split) => b.includes(split));
}

/** Names images that lie on several sides of an existing split, and images that had another split before. */
export function leakWarnings(
  groups: ReadonlyMap<string, readonly PlacedFile[]>,
  examples: readonly Example[],
): string[] {
  const leaks: string[] = [];
  const kept: string[] = [];
  for (const { sha256, side } of examples) {
    const given = (groups.get(sha256) ?? []).filter((file) => Boolean(file.splits));
    const [first] = given;
    if (!first) continue;
    if (given.some(({ splits: allowed }) => !meet(allowed ?? [], first.splits ?? []))) {
      leaks.push(`${given.map(({ where }) => where).join(' and ')} (${side})`);
    } else if (first.splits?.includes(side) === false) kept.push(`${first.where} (${side})`);
  }
  return [
    ...counted(leaks, 'lie on several sides of the existing split, and are on one side only, the one measured'),
    ...counted(kept, 'keep the split they had before, because the split of an image never changes'),
  ];
}

function counted(images: readonly string[], what: string): string[] {
  if (images.length === 0) return [];
  const more = images.length > shown ? ` and ${images.length - shown} more` : '';
  return [`Images that ${what}: ${images.slice(0, shown).join('; ')}${more}.`];
}

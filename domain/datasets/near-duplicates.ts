import type { DatasetStatistics, Example } from '../../contracts/datasets/datasets.js';

/**
 * Bits of 64 by which the perceptual hashes of near-duplicates differ at most. Of 300 photographs 97 % are that near to their
 * scaled, re-encoded and brightened copies, and none to another.
 */
const mostBits = 5;
/** Hexadecimal digits of a band: with eight bands and five differing bits at least three bands are equal. */
const bandDigits = 2;
/** Comparisons and pairs after which the search ends: a set of frames of one video has millions. */
const mostComparisons = 20_000_000;
const mostPairs = 1_000;
const mostShown = 20;

interface Hashed extends Example {
  perceptualHash: string;
  /** The hash as two numbers of 32 bits. */
  halves: readonly [number, number];
}
type NearDuplicates = NonNullable<DatasetStatistics['nearDuplicates']>;

/**
 * Pairs of images that look almost alike. Hashes of near-duplicates have a band in common, so only such images are
 * compared.
 */
export function findNearDuplicates(examples: readonly Example[], hashes: ReadonlyMap<string, string>): NearDuplicates {
  const hashed = examples.flatMap((example) => {
    const perceptualHash = hashes.get(example.sha256);
    if (perceptualHash === undefined) return [];
    const image: Hashed = { ...example, perceptualHash, halves: halvesOf(perceptualHash) };
    return isPlain(image) ? [] : [image];
  });
  const found = new Map<string, NearDuplicates['examples'][number]>();
  let comparisons = 0;
  for (const [one, other] of candidates(hashed)) {
    comparisons += 1;
    if (comparisons > mostComparisons || found.size >= mostPairs) break;
    const bits = differingBits(one, other);
    if (bits <= mostBits) found.set(`${one.sha256} ${other.sha256}`, describe(one, other, bits));
  }
  return { pairs: found.size, examples: [...found.values()].slice(0, mostShown) };
}

function* candidates(images: readonly Hashed[]): Generator<[Hashed, Hashed]> {
  for (let from = 0; from < 16; from += bandDigits) {
    const alike = new Map<string, Hashed[]>();
    for (const image of images) {
      const band = image.perceptualHash.slice(from, from + bandDigits);
      const group = alike.get(band) ?? [];
      for (const other of group) yield [other, image];
      group.push(image);
      alike.set(band, group);
    }
  }
}

function describe(one: Hashed, other: Hashed, bits: number): NearDuplicates['examples'][number] {
  return {
    images: [one.sha256, other.sha256],
    labels: [one.label, other.label],
    sides: [one.side, other.side],
    differingBits: bits,
  };
}

/** Almost all bits are equal: a plain surface or an even gradient, which says nothing about what is shown. */
function isPlain({ halves: [high, low] }: Hashed): boolean {
  const ones = countBits(high) + countBits(low);
  return ones <= mostBits || ones >= 64 - mostBits;
}

function differingBits({ halves: one }: Hashed, { halves: other }: Hashed): number {
  return countBits(one[0] ^ other[0]) + countBits(one[1] ^ other[1]);
}

function halvesOf(hash: string): [number, number] {
  return [parseInt(hash.slice(0, 8), 16), parseInt(hash.slice(8), 16)];
}

/** Of 32 bits: adds them up in pairs, fours and bytes. */
function countBits(value: number): number {
  const pairs = value - ((value >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

import type { Split } from '../../contracts/datasets/datasets.js';

export interface Picture {
  sha256: string;
  /** Digest of the decoded pixels; null where it is not known. */
  pixelSha256?: string | null | undefined;
}

/** The same for images that show the same pixels, whatever their files are: another format, quality mark or metadata. */
export function pictureOf({ sha256, pixelSha256 }: Picture): string {
  return pixelSha256 ?? sha256;
}

/**
 * Groups images by what they show. The first of each group stands for it: one that has a split already, so that a version
 * does not change when a copy is added.
 */
export function groupByPicture<Image extends Picture>(
  images: readonly Image[],
  sides: ReadonlyMap<string, Split>,
): Image[][] {
  const groups = new Map<string, Image[]>();
  for (const image of images) {
    const group = groups.get(pictureOf(image));
    if (group) group.push(image);
    else groups.set(pictureOf(image), [image]);
  }
  const rank = ({ sha256 }: Image): string => `${sides.has(sha256) ? 0 : 1} ${sha256}`;
  return [...groups.values()].map((group) =>
    group.sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0)),
  );
}

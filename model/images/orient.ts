import type { RgbImage } from './resample.js';

/** For each EXIF orientation from 2 to 8: whether rows and columns are swapped, and what is mirrored afterwards. */
const turns: Readonly<Record<number, { swap: boolean; flipX: boolean; flipY: boolean }>> = {
  2: { swap: false, flipX: true, flipY: false },
  3: { swap: false, flipX: true, flipY: true },
  4: { swap: false, flipX: false, flipY: true },
  5: { swap: true, flipX: false, flipY: false },
  6: { swap: true, flipX: true, flipY: false },
  7: { swap: true, flipX: true, flipY: true },
  8: { swap: true, flipX: false, flipY: true },
};

/** The image as it is shown: turned and mirrored as its EXIF orientation demands. */
export function orient(image: RgbImage, orientation: number): RgbImage {
  const turn = turns[orientation];
  if (turn === undefined) return image;
  const { data } = image;
  const [width, height] = turn.swap ? [image.height, image.width] : [image.width, image.height];
  // Steps in the stored pixels of one pixel to the right, and of one row down.
  const [right, down] = turn.swap ? [image.width * 3, 3] : [3, image.width * 3];
  const stepX = turn.flipX ? -right : right;
  const stepY = turn.flipY ? -down : down;
  const start = (turn.flipX ? (width - 1) * right : 0) + (turn.flipY ? (height - 1) * down : 0);
  const turned = new Uint8Array(data.length);
  for (let y = 0, to = 0; y < height; y += 1) {
    for (let x = 0, from = start + y * stepY; x < width; x += 1, from += stepX, to += 3) {
      turned[to] = data[from] ?? 0;
      turned[to + 1] = data[from + 1] ?? 0;
      turned[to + 2] = data[from + 2] ?? 0;
    }
  }
  return { data: turned, width, height };
}

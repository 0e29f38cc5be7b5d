import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { encodePng } from './png.js';

export interface SampleImage {
  /** What it is, for the user. */
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

const imageName = /\.(jpe?g|png|webp)$/i;
const largestBytes = 20_000_000;

/** An image to try the model on: the first of `<folder>/<class>/`, else a flower that is drawn here. */
export function sampleImage(folder: string | null): SampleImage {
  return (
    (folder === null ? null : firstImageIn(folder)) ?? { name: 'a yellow flower drawn here', bytes: flowerPng(224) }
  );
}

function firstImageIn(folder: string): SampleImage | null {
  try {
    for (const label of readdirSync(folder).sort()) {
      const path = join(folder, label);
      if (!statSync(path).isDirectory()) continue;
      const file = readdirSync(path)
        .sort()
        .find((name) => imageName.test(name) && statSync(join(path, name)).size <= largestBytes);
      if (file !== undefined)
        return { name: `${label}/${file}`, bytes: new Uint8Array(readFileSync(join(path, file))) };
    }
  } catch {
    // A folder that cannot be read was named in the ingestion's own message.
  }
  return null;
}

/** A yellow flower head on green, as a PNG. */
function flowerPng(side: number): Uint8Array<ArrayBuffer> {
  const rgb = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const [dx, dy] = [x / side - 0.5, y / side - 0.5];
      const petals = 0.24 + 0.05 * Math.cos(24 * Math.atan2(dy, dx));
      const shade = (x * 7 + ((y * x) % 13)) % 60;
      const colour =
        Math.hypot(dx, dy) < petals ? [215 + shade / 2, 180 + shade / 2, 20] : [40 + shade / 3, 90 + shade, 30];
      rgb.set(colour, (y * side + x) * 3);
    }
  }
  return encodePng(side, side, rgb);
}

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { drawImage } from '../images/drawn-images.js';

export interface SampleImage {
  /** Shown to the user. */
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

const imageName = /\.(jpe?g|png|webp)$/i;
const largestBytes = 20_000_000;

/** An image to try the model on: the first one in `<folder>/<class>/`, or else a drawn dandelion. */
export function sampleImage(folder: string | null): SampleImage {
  return (
    (folder === null ? null : firstImageIn(folder)) ?? { name: 'a drawn dandelion', bytes: drawImage('bloom', 0).bytes }
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
    // The ingestion has already reported a folder that cannot be read.
  }
  return null;
}

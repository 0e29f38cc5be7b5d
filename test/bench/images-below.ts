import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of the JPEG files below a folder. */
export function imagesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.jpg'))
    .map((path) => join(folder, path));
}

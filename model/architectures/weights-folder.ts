import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Path of a file of pretrained weights. The compiler copies no data files, so the folder beside the sources is looked
 * for upwards, whether this module runs from there or from `dist/`.
 */
export function weightsFile(name: string): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(folder, 'model', 'architectures', 'weights', name);
    if (existsSync(candidate)) return candidate;
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`${name} was not found in model/architectures/weights of the project.`);
    folder = parent;
  }
}

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Path of a file of pretrained weights. The compiler copies no data files, so this searches upwards from the module,
 * which runs from the sources or from `dist/`, for the folder beside the sources.
 */
export function weightsFile(name: string): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(folder, 'model', 'architectures', 'weights', name);
    if (existsSync(candidate)) return candidate;
    const parent = dirname(folder);
    if (parent === folder)
      throw new Error(`${name} is missing in model/architectures/weights. Restore it from the repository.`);
    folder = parent;
  }
}

import { labelSchema } from '../../contracts/datasets/datasets.js';
import { allowedSplits, layoutWarnings, requireLayout } from '../../domain/datasets/existing-split.js';
import { readLayout, type ListFolder, type SourceLayout } from '../../domain/datasets/source-layout.js';
import type { Ingestion } from '../../stores/datasets/ingestions.js';
import type { FoundFile } from '../../stores/datasets/scan-rows.js';
import { labelledFile, refusedFile } from './classify-path.js';
import type { IngestionDependencies } from './dependencies.js';
import type { ScanTally } from './scan-tally.js';

/**
 * Finds the class folders of a source and decides on its split, by the word that the ingestion has. Throws
 * `source_layout` and `split_undecided` as `requireLayout`.
 */
export async function layoutOf(
  { ingestions }: Pick<IngestionDependencies, 'ingestions'>,
  { dataset, locator, split }: Ingestion,
  list: ListFolder,
): Promise<{ layout: SourceLayout; warnings: string[] }> {
  const classes = new Set(await ingestions.labelsOf(dataset));
  const layout = await readLayout(list, (name) => classes.has(labelSchema.safeParse(name).data ?? name));
  requireLayout(layout, split, locator);
  return { layout, warnings: layoutWarnings(layout, split) };
}

/** Says of a path in the source under which label it is, and on which side of a split that is kept. */
export function classifierOf(
  { roots }: SourceLayout,
  split: Ingestion['split'],
  { renamed }: ScanTally,
): (path: string) => FoundFile {
  const rootOf = new Map(roots.map((root) => [root.path, root]));
  const allowed = split === 'keep' ? allowedSplits(roots) : null;
  return (path) => {
    const names = path.split('/').slice(0, -1);
    for (let depth = names.length; depth >= 0; depth -= 1) {
      const root = rootOf.get(names.slice(0, depth).join('/'));
      const name = root?.label ?? names[depth];
      if (!root || name === undefined) continue;
      const file = labelledFile(path, name, 'folder name');
      if (file.label !== null && file.label !== name.normalize('NFC')) renamed.set(name, file.label);
      return { ...file, ...(allowed && root.side !== null && { splits: allowed[root.side] }) };
    }
    return refusedFile(
      path,
      'bad_label',
      'The file is outside the class folders. Move it into the folder of its class.',
    );
  };
}

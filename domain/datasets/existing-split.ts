import { splits, type ExistingSplit, type Split } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import type { ClassRoot, SourceLayout } from './source-layout.js';

/**
 * Throws `source_layout` if no class folders can be found, and `split_undecided` if the source has a split and nobody
 * said what becomes of it.
 */
export function requireLayout(layout: SourceLayout, word: ExistingSplit | null, where: string): void {
  const { fault, splitFolders, roots } = layout;
  if (fault !== null) throw new PerennialError('source_layout', `${fault} (${where})`);
  if (splitFolders.length === 0) return;
  if (word === null) {
    throw new PerennialError(
      'split_undecided',
      `${where} is split already (${splitFolders.join(', ')}). Say what becomes of the split: "split": "keep" in \`source\` stores the images on these sides, "split": "ignore" mixes them and splits them anew.`,
    );
  }
  if (word === 'keep' && !roots.some(({ side }) => side === 'train')) {
    throw new PerennialError(
      'source_layout',
      `The split of ${where} (${splitFolders.join(', ')}) has no class folders for training, so it cannot be kept. Add them, or send "split": "ignore".`,
    );
  }
}

/**
 * The splits that images of each given side may get: the side itself, and the sides that are missing. Without a test
 * side validation gives half, without validation train gives its share.
 */
export function allowedSplits(roots: readonly Pick<ClassRoot, 'side'>[]): Readonly<Record<Split, readonly Split[]>> {
  const isGiven = (split: Split): boolean => roots.some(({ side }) => side === split);
  const [validation, test] = [isGiven('validation'), isGiven('test')];
  return {
    train: splits.filter((split) => split === 'train' || (!validation && (split === 'validation' || !test))),
    validation: test ? ['validation'] : ['validation', 'test'],
    test: ['test'],
  };
}

/** What a person should know of the way in which a source is read. */
export function layoutWarnings({ wrapper, splitFolders }: SourceLayout, word: ExistingSplit | null): string[] {
  const around = wrapper === null ? [] : [`The class folders were found in the folder ${wrapper}, which is no class.`];
  if (splitFolders.length === 0) {
    return word === 'keep'
      ? [...around, 'The source has no split to keep, so its images were split by digest.']
      : around;
  }
  const became =
    word === 'keep' ? 'was kept for images that had no split yet' : 'was ignored: its images were split by digest';
  return [...around, `The split of the source (${splitFolders.join(', ')}) ${became}.`];
}

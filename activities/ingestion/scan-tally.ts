import type { Skipped, SkippedKind } from '../../contracts/datasets/datasets.js';
import { clutterKind } from '../../domain/datasets/clutter.js';
import { joinBytes, readFolder, realBytes, textOf, type BytePath, type Entry } from '../../platform/folder-names.js';

/** What a scan counts besides the files that it lists. */
export interface ScanTally {
  skipped: Map<SkippedKind, number>;
  /** Labels by the folder names that they were made of, where these differ. */
  renamed: Map<string, string>;
}

export function createTally(): ScanTally {
  return { skipped: new Map(), renamed: new Map() };
}

export function skippedOf({ skipped }: ScanTally): Skipped {
  return Object.fromEntries([...skipped].sort());
}

export function countFile({ skipped }: ScanTally, kind: SkippedKind, files = 1): void {
  skipped.set(kind, (skipped.get(kind) ?? 0) + files);
}

/** Snapshots hold every file of the volume once more, so that such a folder counts as one. */
const asOne: ReadonlySet<SkippedKind> = new Set(['snapshots']);

/** Counts the skipped entries, named by their paths: of folders the files, except in those that were `entered` through a link. */
export async function countSkipped(
  root: BytePath,
  entries: readonly Entry[],
  entered: ReadonlySet<BytePath>,
  tally: ScanTally,
): Promise<void> {
  for (const { name: path, kind: type } of entries) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const kind = clutterKind(textOf(name) ?? name) ?? 'hidden';
    const files = type !== 'folder' || asOne.has(kind) ? 1 : await filesIn(joinBytes(root, path), entered);
    if (files > 0) countFile(tally, kind, files);
  }
}

/** Files in a folder and the folders below, where links and unreadable folders count as files. */
async function filesIn(path: BytePath, entered: ReadonlySet<BytePath>): Promise<number> {
  let files = 0;
  const folders = [path];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const real = await realBytes(folder).catch(() => null);
    if (real !== null && entered.has(real)) continue;
    try {
      for (const { name, kind } of await readFolder(folder)) {
        if (kind === 'folder') folders.push(joinBytes(folder, name));
        else files += 1;
      }
    } catch {
      files += 1;
    }
  }
  return files;
}

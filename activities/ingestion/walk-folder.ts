import { stat } from 'node:fs/promises';
import type { ExistingSplit, Split } from '../../contracts/datasets/datasets.js';
import { messageOf } from '../../contracts/errors.js';
import { clutterKind } from '../../domain/datasets/clutter.js';
import { allowedSplits } from '../../domain/datasets/existing-split.js';
import type { SourceLayout } from '../../domain/datasets/source-layout.js';
import {
  bytePath,
  joinBytes,
  pathOf,
  readFolder,
  realBytes,
  storedPath,
  textOf,
  type BytePath,
  type Entry,
} from '../../platform/folder-names.js';
import type { FoundFile } from '../../stores/datasets/scan-rows.js';
import { isInside } from '../../platform/is-inside.js';
import { labelledFile, withShortPath } from './classify-path.js';
import { countSkipped, type ScanTally } from './scan-tally.js';

interface Folder {
  /** Relative to the root; empty for the root. */
  path: BytePath;
  /** Whether its folders are classes, or it lies in a class itself. */
  isPlaced: boolean;
  /** Name of the class folder that this is or lies in; null above the class folders. */
  className: BytePath | null;
  /** See `FoundFile`; null if the source has no split that is kept. */
  splits: readonly Split[] | null;
}

/** A source folder as the scan sees it. */
interface WalkedFolder {
  /** The real path. */
  root: BytePath;
  layout: SourceLayout;
  existingSplit: ExistingSplit | null;
  tally: ScanTally;
}

/** Makes a file of its stored path and the folder it lies in. */
type Classify = (path: string, folder: Folder) => FoundFile;

/**
 * Yields every file below the class folders of a source. What file systems and programs left there is counted in the
 * tally instead. Links are followed within `root`, after all real folders, and no folder is entered twice: a cycle of
 * links ends, and a link never moves files out of their real class. Files that cannot be ingested are yielded with the
 * reason.
 */
export async function* walkFolder(
  walked: WalkedFolder,
  classify: Classify = (path, folder) => labelled(path, folder, walked.tally),
): AsyncGenerator<FoundFile> {
  const { root, tally } = walked;
  const placed = placedFolders(walked);
  const entered = new Set<BytePath>();
  const folders: Folder[] = [placed('') ?? { path: '', isPlaced: false, className: null, splits: null }];
  const links: Folder[] = [];
  const skipped: Entry[] = [];
  for (;;) {
    const folder = folders.pop() ?? links.shift();
    if (!folder) break;
    const real = await realBytes(joinBytes(root, folder.path)).catch(() => null);
    if (real === null || entered.has(real)) continue;
    entered.add(real);
    for (const entry of await entriesOf(root, folder)) {
      if (isSkipped(entry)) {
        skipped.push({ ...entry, name: joinBytes(folder.path, entry.name) });
        continue;
      }
      const found =
        'failure' in entry ? entry.failure : await classifyEntry({ root, place: placed, classify }, folder, entry);
      if (found.kind === 'folder') folders.push(found.folder);
      else if (found.kind === 'linked folder') links.push(found.folder);
      else yield withShortPath(found.file);
    }
  }
  // Afterwards, because a link may have led into a skipped folder and taken its files.
  await countSkipped(root, skipped, entered, tally);
}

type Place = (path: BytePath) => Folder | null;

/** Says what the layout knows of a folder; null for one that it does not name. */
function placedFolders({ layout, existingSplit }: WalkedFolder): Place {
  const allowed = existingSplit === 'keep' ? allowedSplits(layout.roots) : null;
  const known = new Map(
    layout.roots.map(({ path, label, side }): [BytePath, Folder] => [
      path,
      {
        ...{ path, isPlaced: true, className: label === null ? null : bytePath(label) },
        splits: side === null || allowed === null ? null : allowed[side],
      },
    ]),
  );
  return (path) => known.get(path) ?? null;
}

function isSkipped(entry: Entry | { failure: Found }): entry is Entry {
  return 'name' in entry && clutterKind(textOf(entry.name) ?? entry.name) !== null;
}

async function entriesOf(root: BytePath, folder: Folder): Promise<(Entry | { failure: Found })[]> {
  try {
    return await readFolder(joinBytes(root, folder.path));
  } catch (error) {
    const refusal = { reason: 'unreadable', detail: `The folder cannot be read: ${messageOf(error)}` } as const;
    return [{ failure: { kind: 'file', file: { path: storedPath(folder.path) || '.', label: null, refusal } } }];
  }
}

type Found =
  { kind: 'folder'; folder: Folder } | { kind: 'linked folder'; folder: Folder } | { kind: 'file'; file: FoundFile };

async function classifyEntry(
  { root, place, classify }: { root: BytePath; place: Place; classify: Classify },
  parent: Folder,
  entry: Entry,
): Promise<Found> {
  const path = joinBytes(parent.path, entry.name);
  const folder = place(path) ?? below(parent, path, entry.name);
  const stored = storedPath(path);
  const refused = (reason: 'link_outside_source' | 'unreadable', detail: string): Found => ({
    kind: 'file',
    file: { path: stored, label: null, refusal: { reason, detail } },
  });
  if (entry.kind === 'folder') return { kind: 'folder', folder };
  if (entry.kind === 'file') return { kind: 'file', file: classify(stored, parent) };
  if (entry.kind === 'other') return refused('unreadable', 'This is neither a file nor a folder.');
  try {
    const target = await realBytes(joinBytes(root, path));
    if (!isInside(root, target)) return refused('link_outside_source', 'The link points outside the source folder.');
    const facts = await stat(pathOf(target));
    if (facts.isDirectory()) return { kind: 'linked folder', folder };
    if (facts.isFile()) return { kind: 'file', file: classify(stored, parent) };
    return refused('unreadable', 'The link points to neither a file nor a folder.');
  } catch (error) {
    return refused('unreadable', `The link is broken: ${messageOf(error)}`);
  }
}

function below(parent: Folder, path: BytePath, name: BytePath): Folder {
  return { ...parent, path, className: parent.className ?? (parent.isPlaced ? name : null) };
}

function labelled(path: string, { className, splits }: Folder, tally: ScanTally): FoundFile {
  const refused = (detail: string): FoundFile => ({ path, label: null, refusal: { reason: 'bad_label', detail } });
  if (className === null)
    return refused('The file is outside the class folders. Move it into the folder of its class.');
  const name = textOf(className);
  if (name === null) {
    return refused(
      `The name of the class folder is no UTF-8; read as Latin-1 it is “${className}”. Rename the folder, for example with convmv.`,
    );
  }
  const file = labelledFile(path, name, 'folder name');
  if (file.label !== null && file.label !== name.normalize('NFC')) tally.renamed.set(name, file.label);
  return { ...file, ...(splits && { splits }) };
}

import { opendir, realpath, stat } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../contracts/errors.js';
import type { FoundFile } from '../../stores/datasets/ingestions.js';
import { isInside } from '../../platform/is-inside.js';
import { classifyPath, isIgnoredName, withShortPath } from './classify-path.js';

/** Makes a file of its path below the root. */
type Classify = (path: string) => FoundFile;

/**
 * Yields every file below the class folders of `root` (a real path), except hidden ones. Links are followed within `root`,
 * after all real folders, and no folder is entered twice: a cycle of links ends, and a link never moves files out of
 * their real class. Files that cannot be ingested are yielded with the reason.
 */
export async function* walkFolder(root: string, classify: Classify = classifyPath): AsyncGenerator<FoundFile> {
  const entered = new Set<string>();
  /** Relative to the root; empty for the root. */
  const folders = [''];
  const links: string[] = [];
  for (;;) {
    const folder = folders.pop() ?? links.shift();
    if (folder === undefined) return;
    const real = await realpath(join(root, folder)).catch(() => null);
    if (real === null || entered.has(real)) continue;
    entered.add(real);
    for await (const entry of entriesOf(root, folder)) {
      const found = 'failure' in entry ? entry.failure : await classifyEntry(root, folder, entry, classify);
      if (found.kind === 'folder') folders.push(found.path);
      else if (found.kind === 'linked folder') links.push(found.path);
      else yield withShortPath(found.file);
    }
  }
}

async function* entriesOf(root: string, folder: string): AsyncGenerator<Dirent | { failure: Found }> {
  try {
    for await (const entry of await opendir(join(root, folder))) {
      if (!isIgnoredName(entry.name)) yield entry;
    }
  } catch (error) {
    const refusal = { reason: 'unreadable', detail: `The folder cannot be read: ${messageOf(error)}` } as const;
    yield { failure: { kind: 'file', file: { path: folder || '.', label: null, refusal } } };
  }
}

type Found =
  { kind: 'folder'; path: string } | { kind: 'linked folder'; path: string } | { kind: 'file'; file: FoundFile };

async function classifyEntry(root: string, parent: string, entry: Dirent, classify: Classify): Promise<Found> {
  const path = parent === '' ? entry.name : `${parent}/${entry.name}`;
  const refused = (refusal: FoundFile['refusal']): Found => ({
    kind: 'file',
    file: { path, label: null, ...(refusal && { refusal }) },
  });
  if (entry.isDirectory()) return { kind: 'folder', path };
  if (entry.isFile()) return { kind: 'file', file: classify(path) };
  if (!entry.isSymbolicLink()) return refused({ reason: 'unreadable', detail: 'This is neither a file nor a folder.' });
  try {
    const target = await realpath(join(root, path));
    if (!isInside(root, target)) {
      return refused({ reason: 'link_outside_source', detail: 'The link points outside the source folder.' });
    }
    const facts = await stat(target);
    if (facts.isDirectory()) return { kind: 'linked folder', path };
    if (facts.isFile()) return { kind: 'file', file: classify(path) };
    return refused({ reason: 'unreadable', detail: 'The link points to neither a file nor a folder.' });
  } catch (error) {
    return refused({ reason: 'unreadable', detail: `The link is broken: ${messageOf(error)}` });
  }
}

import { opendir, realpath, stat } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { labelSchema } from '../../contracts/datasets/datasets.js';
import { messageOf } from '../../contracts/errors.js';
import { maxPathBytes, shortenPath } from '../../domain/datasets/shorten-path.js';
import type { FoundFile } from '../../stores/datasets/ingestions.js';
import { isInside } from '../../platform/is-inside.js';

interface Folder {
  /** Relative to the root; empty for the root. */
  path: string;
  /** Name of the class folder that this is or lies in; null for the root. */
  className: string | null;
}

/** Files that Windows Explorer creates. */
const ignoredNames = new Set(['thumbs.db', 'desktop.ini']);

/**
 * Yields every file below the class folders of `root` (a real path), except hidden ones. Links are followed within `root`,
 * after all real folders, and no folder is entered twice: a cycle of links ends, and a link never moves files out of
 * their real class. Files that cannot be ingested are yielded with the reason.
 */
export async function* walkFolder(root: string): AsyncGenerator<FoundFile> {
  const entered = new Set<string>();
  const folders: Folder[] = [{ path: '', className: null }];
  const links: Folder[] = [];
  for (;;) {
    const folder = folders.pop() ?? links.shift();
    if (!folder) return;
    const real = await realpath(join(root, folder.path)).catch(() => null);
    if (real === null || entered.has(real)) continue;
    entered.add(real);
    for await (const entry of entriesOf(root, folder)) {
      const found = 'failure' in entry ? entry.failure : await classifyEntry(root, folder, entry);
      if (found.kind === 'folder') folders.push(found.folder);
      else if (found.kind === 'linked folder') links.push(found.folder);
      else yield withShortPath(found.file);
    }
  }
}

async function* entriesOf(root: string, folder: Folder): AsyncGenerator<Dirent | { failure: Found }> {
  try {
    for await (const entry of await opendir(join(root, folder.path))) {
      if (!entry.name.startsWith('.') && !ignoredNames.has(entry.name.toLowerCase())) yield entry;
    }
  } catch (error) {
    const refusal = { reason: 'unreadable', detail: `The folder cannot be read: ${messageOf(error)}` } as const;
    yield { failure: { kind: 'file', file: { path: folder.path || '.', label: null, refusal } } };
  }
}

type Found =
  { kind: 'folder'; folder: Folder } | { kind: 'linked folder'; folder: Folder } | { kind: 'file'; file: FoundFile };

async function classifyEntry(root: string, parent: Folder, entry: Dirent): Promise<Found> {
  const path = parent.path === '' ? entry.name : `${parent.path}/${entry.name}`;
  const folder = { path, className: parent.className ?? entry.name };
  const refused = (refusal: FoundFile['refusal']): Found => ({
    kind: 'file',
    file: { path, label: null, ...(refusal && { refusal }) },
  });
  if (entry.isDirectory()) return { kind: 'folder', folder };
  if (entry.isFile()) return { kind: 'file', file: labelled(path, parent) };
  if (!entry.isSymbolicLink()) return refused({ reason: 'unreadable', detail: 'This is neither a file nor a folder.' });
  try {
    const target = await realpath(join(root, path));
    if (!isInside(root, target)) {
      return refused({ reason: 'link_outside_source', detail: 'The link points outside the source folder.' });
    }
    const facts = await stat(target);
    if (facts.isDirectory()) return { kind: 'linked folder', folder };
    if (facts.isFile()) return { kind: 'file', file: labelled(path, parent) };
    return refused({ reason: 'unreadable', detail: 'The link points to neither a file nor a folder.' });
  } catch (error) {
    return refused({ reason: 'unreadable', detail: `The link is broken: ${messageOf(error)}` });
  }
}

/** Refuses a file whose path is too long for the database: under a shortened path it could not be read again. */
function withShortPath(file: FoundFile): FoundFile {
  const path = shortenPath(file.path);
  if (path === file.path) return file;
  const detail = `The path has more than ${maxPathBytes} bytes. Move the file to a shorter path.`;
  return { path, label: null, refusal: file.refusal ?? { reason: 'unreadable', detail } };
}

function labelled(path: string, { className }: Folder): FoundFile {
  if (className === null) {
    const detail = 'The file is outside the class folders. Move it into the folder of its class.';
    return { path, label: null, refusal: { reason: 'bad_label', detail } };
  }
  const label = labelSchema.safeParse(className.normalize('NFC'));
  if (label.success) return { path, label: label.data };
  const detail = `The folder name is not a valid label: ${label.error.issues.map(({ message }) => message).join('; ')}`;
  return { path, label: null, refusal: { reason: 'bad_label', detail } };
}

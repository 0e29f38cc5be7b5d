import { opendir, realpath, stat } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { labelSchema } from '../../contracts/datasets/datasets.js';
import { messageOf } from '../../contracts/errors.js';
import { maxPathBytes, shortenPath } from '../../domain/datasets/shorten-path.js';
import type { FoundFile } from '../../stores/datasets/ingestions.js';
import { isInside } from './is-inside.js';

interface Folder {
  /** Below the root; empty for the root itself. */
  path: string;
  /** Name of the class folder this is, or lies in; null for the root. */
  className: string | null;
}

/** Left behind by file browsers; hidden by name on their own systems only. */
const clutter = new Set(['thumbs.db', 'desktop.ini']);

/**
 * Every file below the class folders of `root` (a real path), hidden ones aside. Links are followed within `root`,
 * after all real folders, and no folder is entered twice: a circle of links ends, and a link never takes files away
 * from the class they really lie in. What cannot be ingested is given too, with the reason.
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
      const found = 'failure' in entry ? entry.failure : await look(root, folder, entry);
      if (found.kind === 'folder') folders.push(found.folder);
      else if (found.kind === 'linked folder') links.push(found.folder);
      else yield withShortPath(found.file);
    }
  }
}

async function* entriesOf(root: string, folder: Folder): AsyncGenerator<Dirent | { failure: Found }> {
  try {
    for await (const entry of await opendir(join(root, folder.path))) {
      if (!entry.name.startsWith('.') && !clutter.has(entry.name.toLowerCase())) yield entry;
    }
  } catch (error) {
    const refusal = { reason: 'unreadable', detail: `The folder cannot be read: ${messageOf(error)}` } as const;
    yield { failure: { kind: 'file', file: { path: folder.path || '.', label: null, refusal } } };
  }
}

type Found =
  { kind: 'folder'; folder: Folder } | { kind: 'linked folder'; folder: Folder } | { kind: 'file'; file: FoundFile };

async function look(root: string, parent: Folder, entry: Dirent): Promise<Found> {
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
      return refused({ reason: 'link_outside_source', detail: 'The link leads out of the source folder.' });
    }
    const facts = await stat(target);
    if (facts.isDirectory()) return { kind: 'linked folder', folder };
    if (facts.isFile()) return { kind: 'file', file: labelled(path, parent) };
    return refused({ reason: 'unreadable', detail: 'The link leads to neither a file nor a folder.' });
  } catch (error) {
    return refused({ reason: 'unreadable', detail: `The link leads nowhere: ${messageOf(error)}` });
  }
}

/** No file whose path is too long to be recorded is read: it could not be found again under a shorter one. */
function withShortPath(file: FoundFile): FoundFile {
  const path = shortenPath(file.path);
  if (path === file.path) return file;
  const detail = `The path has more than ${maxPathBytes} bytes. Move the file into a folder that is less deep.`;
  return { path, label: null, refusal: file.refusal ?? { reason: 'unreadable', detail } };
}

function labelled(path: string, { className }: Folder): FoundFile {
  if (className === null) {
    const detail = 'The file lies beside the class folders. Move it into the folder of its class.';
    return { path, label: null, refusal: { reason: 'bad_label', detail } };
  }
  const label = labelSchema.safeParse(className.normalize('NFC'));
  if (label.success) return { path, label: label.data };
  const detail = `The folder's name is no label: ${label.error.issues.map(({ message }) => message).join('; ')}`;
  return { path, label: null, refusal: { reason: 'bad_label', detail } };
}

import { readdir, realpath, stat } from 'node:fs/promises';
import { isInside } from './is-inside.js';

/**
 * Names of files are bytes, mostly but not always UTF-8. Here a path is a string with one character for each byte, so
 * that every file can be reached.
 */
export type BytePath = string;

export function bytePath(path: string): BytePath {
  return Buffer.from(path).toString('latin1');
}

/** The path for functions of Node.js. */
export function pathOf(path: BytePath): Buffer {
  return Buffer.from(path, 'latin1');
}

export function joinBytes(folder: BytePath, name: BytePath): BytePath {
  return folder === '' || name === '' ? folder + name : `${folder}/${name}`;
}

/** The path as text; null if it is no UTF-8. */
export function textOf(path: BytePath): string | null {
  const bytes = pathOf(path);
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? text : null;
}

export function realBytes(path: BytePath): Promise<BytePath> {
  return realpath(pathOf(path), 'latin1');
}

const marker = 'bytes:';

/**
 * The path as text that `storedBytes` maps back: unchanged, or, if it is no UTF-8, with a marker at the beginning and
 * with `%` and every byte beyond ASCII escaped, as `bytes:l%F6wenzahn/1.jpg`.
 */
export function storedPath(path: BytePath): string {
  const text = textOf(path);
  if (text !== null && !text.startsWith(marker)) return text;
  return marker + path.replace(/[%\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

export function storedBytes(stored: string): BytePath {
  if (!stored.startsWith(marker)) return bytePath(stored);
  return stored
    .slice(marker.length)
    .replace(/%([0-9A-F]{2})/g, (_match, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

export interface Entry {
  name: BytePath;
  kind: 'file' | 'folder' | 'link' | 'other';
}

/** The entries of a folder, by the bytes of their names. */
export async function readFolder(folder: BytePath): Promise<Entry[]> {
  const entries = await readdir(pathOf(folder), { withFileTypes: true, encoding: 'buffer' });
  return entries.map((entry) => ({
    name: entry.name.toString('latin1'),
    kind: entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : entry.isSymbolicLink() ? 'link' : 'other',
  }));
}

/**
 * Lists folders below `root` by their path in it, links to folders included. An unreadable folder, and one that a link
 * leads out to, has no entries.
 */
export function folderLister(
  root: BytePath,
): (path: BytePath) => Promise<{ name: BytePath; text: string; isFolder: boolean }[]> {
  return async (path) => {
    const folder = joinBytes(root, path);
    const entries = (await leadsOut(root, folder)) ? [] : await readFolder(folder).catch(() => []);
    return Promise.all(
      entries.map(async ({ name, kind }) => ({
        name,
        text: textOf(name) ?? name,
        isFolder: kind === 'folder' || (kind === 'link' && (await isFolder(joinBytes(folder, name)))),
      })),
    );
  };
}

async function leadsOut(root: BytePath, folder: BytePath): Promise<boolean> {
  try {
    return !isInside(await realBytes(root), await realBytes(folder));
  } catch {
    return true;
  }
}

function isFolder(path: BytePath): Promise<boolean> {
  return stat(pathOf(path)).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}

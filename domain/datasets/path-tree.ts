import type { FolderEntry, ListFolder } from './source-layout.js';

/**
 * The folders of a source that is known by the paths of its files, such as an archive. Of the files of a folder only one
 * is kept, so that the size depends on the number of folders.
 */
export interface PathTree {
  add(path: string): void;
  list: ListFolder;
}

export function createPathTree(): PathTree {
  const folders = new Map<string, Map<string, FolderEntry>>();
  const entriesOf = (folder: string): Map<string, FolderEntry> => {
    const entries = folders.get(folder) ?? new Map<string, FolderEntry>();
    folders.set(folder, entries);
    return entries;
  };
  return {
    add(path) {
      const names = path.split('/');
      const file = names.pop() ?? '';
      let folder = '';
      for (const name of names) {
        entriesOf(folder).set(name, { name, text: name, isFolder: true });
        folder = folder === '' ? name : `${folder}/${name}`;
      }
      const entries = entriesOf(folder);
      const extension = file.slice(file.lastIndexOf('.') + 1).toLowerCase();
      // A slash cannot be in a name, so this key is no folder's.
      if (!entries.has(`/${extension}`)) entries.set(`/${extension}`, { name: file, text: file, isFolder: false });
    },
    list: (path) => Promise.resolve([...(folders.get(path)?.values() ?? [])]),
  };
}

import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface FolderSize {
  bytes: number;
  objects: number;
}

/**
 * Size of all files below a folder as they occupy the disk, without the subfolders in `skip`. Null if the folder does
 * not exist or cannot be read, for example because its process runs on another machine. Follows no links. Reads one
 * entry after another, so that requests find the threads of the file system free.
 */
export async function measureFolder(folder: string, skip: readonly string[] = []): Promise<FolderSize | null> {
  try {
    const size = { bytes: 0, objects: 0 };
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      // What was deleted since the folder was read counts as nothing.
      if (entry.isFile()) add(size, await fileSize(path).catch(() => null));
      else if (entry.isDirectory() && !skip.includes(entry.name)) add(size, await measureFolder(path));
    }
    return size;
  } catch {
    return null;
  }
}

async function fileSize(path: string): Promise<FolderSize> {
  const { blocks } = await lstat(path);
  return { bytes: blocks * 512, objects: 1 };
}

function add(total: FolderSize, part: FolderSize | null): void {
  total.bytes += part?.bytes ?? 0;
  total.objects += part?.objects ?? 0;
}

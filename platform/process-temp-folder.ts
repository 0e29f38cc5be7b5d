import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Creates the folder `<parent>/<pid>` for this process and removes those of dead processes, which a killed process leaves
 * behind.
 */
export async function createProcessTempFolder(parent: string): Promise<string> {
  await mkdir(parent, { recursive: true });
  for (const name of await readdir(parent)) {
    if (!isAlive(Number(name)) || Number(name) === process.pid) {
      await rm(join(parent, name), { recursive: true, force: true });
    }
  }
  const folder = join(parent, String(process.pid));
  await mkdir(folder);
  return folder;
}

/** Whether a process with this id exists, including those of other users. */
export function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

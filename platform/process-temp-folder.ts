import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemFault, systemCodeOf } from '../contracts/errors.js';

/**
 * The folder `<parent>/<pid>` for this process. Creates it, and removes those of dead processes, which a killed process
 * leaves behind. On a full or read-only disk it only returns the path, and the first writer creates it.
 */
export async function createProcessTempFolder(parent: string): Promise<string> {
  const folder = join(parent, String(process.pid));
  try {
    await prepare(parent, folder);
  } catch (error) {
    if (systemFault(error) === null && !isDenied(error)) throw error;
  }
  return folder;
}

async function prepare(parent: string, folder: string): Promise<void> {
  await mkdir(parent, { recursive: true });
  for (const name of await readdir(parent)) {
    if (!isAlive(Number(name)) || Number(name) === process.pid) {
      await rm(join(parent, name), { recursive: true, force: true });
    }
  }
  await mkdir(folder);
}

function isDenied(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes(systemCodeOf(error));
}

/** Whether a process with this id exists, including those of other users. */
export function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCodeOf(error) === 'EPERM';
  }
}

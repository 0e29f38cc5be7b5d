import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { identifyProcess, isRunning } from '../setup/process-identity.mjs';
import { stopLeftover } from './leftovers.js';
import { signalProcess } from './running-child.js';

const signals = ['SIGINT', 'SIGTERM'] as const;
const recordSchema = z.object({
  name: z.string(),
  pid: z.number().int().positive(),
  startedAt: z.string(),
  stopSignal: z.enum(signals),
});
export type ProcessRecord = z.infer<typeof recordSchema>;

/**
 * Lists the processes of a running stack on disk, so that the next start can stop those a killed supervisor left. While the
 * disk accepts nothing the list stays in memory and is written later.
 */
export interface RunFile {
  add(record: ProcessRecord): void;
  remove(pid: number): void;
  clear(): void;
}

export function createRunFile(path: string, retryMs = 5_000): RunFile {
  let records: ProcessRecord[] = [];
  let retry: NodeJS.Timeout | undefined;
  const write = (): void => {
    clearTimeout(retry);
    try {
      writeFileSync(`${path}.draft`, JSON.stringify(records, null, 2));
      renameSync(`${path}.draft`, path);
    } catch {
      retry = setTimeout(write, retryMs).unref();
    }
  };
  return {
    add: (record) => {
      records.push(record);
      write();
    },
    remove: (pid) => {
      records = records.filter((record) => record.pid !== pid);
      write();
    },
    clear: () => {
      clearTimeout(retry);
      removeFile(path);
    },
  };
}

/**
 * Stops the processes in a run file, last started first, and returns the names of those that were still running. A
 * process id that now belongs to another process is skipped.
 */
export async function clearLeftovers(path: string): Promise<string[]> {
  const stopped: string[] = [];
  for (const record of readRecords(path).reverse()) {
    const isOurs = isRunning(record);
    if (isOurs) {
      await stopLeftover(record.pid, [record.stopSignal, 'SIGKILL']);
      stopped.push(record.name);
    }
    // Children outlive their parent in its process group; the system does not reuse the group's id while they live.
    if (isOurs || identifyProcess(record.pid) === null) signalProcess(-record.pid, 'SIGKILL');
  }
  removeFile(path);
  return stopped;
}

/** On a read-only disk the file stays; its processes are gone, and process ids are compared with their start times. */
function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    return;
  }
}

function readRecords(path: string): ProcessRecord[] {
  try {
    return z.array(recordSchema).parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return [];
  }
}

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { poll } from './api-client.js';

const run = promisify(execFile);

/** Waits until the training worker has a trainer child and gives its pid. */
export async function trainerOf(workerPid: number, waitMs = 30_000): Promise<number> {
  return poll(
    async () => {
      const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,args=']);
      const child = stdout.split('\n').find((line) => parentOf(line) === workerPid && line.includes('model-child'));
      return Number(child?.trim().split(/\s+/)[0] ?? 0);
    },
    (pid) => pid > 0,
    waitMs,
  );
}

function parentOf(line: string): number {
  return Number(line.trim().split(/\s+/)[1]);
}

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { identifyProcess } from '../setup/process-identity.mjs';
import { signalProcess } from './running-child.js';

export function isAlive(pid: number): boolean {
  return Number.isInteger(pid) && pid > 0 && identifyProcess(pid) !== null;
}

/** The command line of a process; empty when it cannot be read. */
export function commandLineOf(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return '';
  }
}

/** Stops a process that is not our child: sends the signals one after the other until it is gone. */
export async function stopLeftover(pid: number, signals: readonly NodeJS.Signals[], patienceMs = 5_000): Promise<void> {
  const identity = identifyProcess(pid);
  if (identity === null) return;
  for (const signal of signals) {
    signalProcess(pid, signal);
    const deadline = Date.now() + patienceMs;
    while (Date.now() < deadline) {
      if (identifyProcess(pid)?.startedAt !== identity.startedAt) return;
      await sleep(50);
    }
  }
}

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Identifies a process uniquely: the system reuses process ids, but not a process id together with its start time.
 * @typedef {{ pid: number, startedAt: string }} ProcessIdentity
 */

/**
 * @param {number} pid
 * @returns {ProcessIdentity | null} null when there is no such process, or only its zombie
 */
export function identifyProcess(pid) {
  const startedAt = process.platform === 'linux' ? startTimeFromProc(pid) : startTimeFromPs(pid);
  return startedAt === null ? null : { pid, startedAt };
}

/**
 * Whether exactly this process still runs.
 * @param {ProcessIdentity} identity
 */
export function isRunning(identity) {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt;
}

/**
 * @param {number} pid
 * @returns {string | null}
 */
function startTimeFromProc(pid) {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    // Field 2 is the name in brackets and may contain spaces; state and start time are fields 3 and 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : `${bootId()}:${fields[19] ?? ''}`;
  } catch {
    return null;
  }
}

/** Start times count from boot, so the boot is part of the identity. */
function bootId() {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'unknown-boot';
  }
}

/**
 * @param {number} pid
 * @returns {string | null}
 */
function startTimeFromPs(pid) {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, LC_ALL: 'C' },
    }).trim();
    return line === '' || line.startsWith('Z') ? null : line.replace(/^\S+\s+/, '');
  } catch {
    return null;
  }
}

import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identifyProcess, isRunning } from './process-identity.mjs';

/** @typedef {import('./process-identity.mjs').ProcessIdentity} ProcessIdentity */

/**
 * Takes a lock file for this process, or returns its holder. A lock whose holder is gone is taken over.
 * @param {string} file
 * @returns {{ taken: true, release: () => void } | { taken: false, holder: ProcessIdentity }}
 */
export function tryLock(file) {
  const mine = identifyProcess(process.pid);
  if (mine === null) throw new Error('This process cannot see its own start time; is /proc mounted?');
  mkdirSync(dirname(file), { recursive: true });
  for (;;) {
    if (createWhole(file, mine)) return { taken: true, release: () => releaseOwn(file, mine) };
    const holder = readHolder(file);
    if (holder !== null && isRunning(holder)) return { taken: false, holder };
    removeStale(file, holder);
  }
}

/**
 * Runs `work` while holding the lock, waiting for its current holder first.
 * @template T
 * @param {string} file
 * @param {(holder: ProcessIdentity) => void} onWait called once if another process holds the lock
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(file, onWait, work) {
  let lock = tryLock(file);
  if (!lock.taken) onWait(lock.holder);
  while (!lock.taken) {
    await sleep(200);
    lock = tryLock(file);
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/**
 * Creates the lock atomically with its content, as a hard link to a complete file.
 * @param {string} file
 * @param {ProcessIdentity} mine
 */
function createWhole(file, mine) {
  const draft = `${file}.${String(process.pid)}`;
  try {
    writeFileSync(draft, JSON.stringify(mine));
    linkSync(draft, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * @param {string} file
 * @returns {ProcessIdentity | null}
 */
export function readHolder(file) {
  try {
    /** @type {unknown} */
    const content = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof content !== 'object' || content === null || !('pid' in content) || !('startedAt' in content))
      return null;
    const { pid, startedAt } = content;
    return typeof pid === 'number' && typeof startedAt === 'string' ? { pid, startedAt } : null;
  } catch {
    return null;
  }
}

/**
 * Moves a dead holder's lock aside before removing it: if another process has replaced it meanwhile, that lock is put
 * back.
 * @param {string} file
 * @param {ProcessIdentity | null} deadHolder
 */
function removeStale(file, deadHolder) {
  const aside = `${file}.stale-${String(process.pid)}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  const moved = readHolder(aside);
  if (moved !== null && moved.startedAt !== deadHolder?.startedAt && isRunning(moved)) {
    try {
      linkSync(aside, file);
    } catch {
      // A third process has taken the lock; `releaseOwn` does not remove a lock of another process.
    }
  }
  rmSync(aside, { force: true });
}

/**
 * On a disk that has become read-only the lock stays; the next start takes it over, because its holder is gone.
 * @param {string} file
 * @param {ProcessIdentity} mine
 */
function releaseOwn(file, mine) {
  const holder = readHolder(file);
  if (holder?.pid !== mine.pid || holder.startedAt !== mine.startedAt) return;
  try {
    rmSync(file, { force: true });
  } catch {
    return;
  }
}

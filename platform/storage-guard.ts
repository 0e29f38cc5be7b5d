import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, PerennialError, systemCodeOf } from '../contracts/errors.js';
import { remember } from './remember.js';

/** The room that local files have. */
export interface StorageState {
  /** Null if the file system does not report it. */
  freeBytes: number | null;
  minFreeBytes: number;
  /** Why large files are refused, with figures and what to do; null while there is room. */
  shortage: string | null;
}

/** What needs room on the disk. */
export const storageUses = ['upload', 'run', 'capture', 'journal'] as const;
export type StorageUse = (typeof storageUses)[number];

/**
 * Keeps the last megabytes of the disk for Postgres, Temporal and the logs, which predictions, stop and start need: below
 * `MIN_FREE_BYTES` uploads and runs are refused or wait.
 */
export interface StorageGuard {
  /** The state, at most a second old. Never throws. */
  state(): Promise<StorageState>;
  /** The state now. Never throws. */
  measure(): Promise<StorageState>;
  /** Throws `insufficient_storage` unless the disk has the minimum and `bytes` more. */
  require(use: StorageUse, bytes?: number): Promise<void>;
  /** The error for a state, counted as a refusal; null while there is room for `bytes`. */
  refusal(use: StorageUse, state: StorageState, bytes?: number): PerennialError | null;
}

export interface StorageGuardOptions {
  /** Folders that may lie on different disks; the one with the least room counts. A missing one counts as its parent. */
  folders: readonly string[];
  minFreeBytes: number;
  /** Called for each refusal. */
  onRefused?: (use: StorageUse) => void;
}

const rememberMs = 1_000;

export function createStorageGuard({ folders, minFreeBytes, onRefused }: StorageGuardOptions): StorageGuard {
  const measure = async (): Promise<StorageState> => {
    const states = await Promise.all(folders.map((folder) => stateOf(folder, minFreeBytes)));
    return states.reduce(worse, { freeBytes: null, minFreeBytes, shortage: null });
  };
  const state = remember(rememberMs, measure);
  const refusal: StorageGuard['refusal'] = (use, { freeBytes, shortage }, bytes = 0) => {
    const why = shortage ?? shortageOf(freeBytes, minFreeBytes, bytes);
    if (why === null) return null;
    onRefused?.(use);
    return new PerennialError('insufficient_storage', why, { details: { freeBytes, minFreeBytes } });
  };
  return {
    state,
    measure,
    refusal,
    async require(use, bytes = 0) {
      const error = refusal(use, await state(), bytes);
      if (error) throw error;
    },
  };
}

function worse(one: StorageState, other: StorageState): StorageState {
  if (one.shortage !== null) return one;
  if (other.shortage !== null) return other;
  return (other.freeBytes ?? Infinity) < (one.freeBytes ?? Infinity) ? other : one;
}

async function stateOf(folder: string, minFreeBytes: number): Promise<StorageState> {
  try {
    const present = await nearestPresent(folder);
    const { freeBytes } = await diskSpace(present);
    const shortage = shortageOf(freeBytes, minFreeBytes, 0) ?? (await unwritable(present));
    return { freeBytes, minFreeBytes, shortage };
  } catch (error) {
    return { freeBytes: null, minFreeBytes, shortage: `The data folder cannot be examined: ${messageOf(error)}.` };
  }
}

/** Space of the disk of a folder; null where it is not reported. Throws for a missing folder. */
export async function diskSpace(folder: string): Promise<{ freeBytes: number | null; diskBytes: number | null }> {
  const { bavail, bsize, blocks } = await statfs(folder);
  // Some network file systems report no size at all.
  return blocks === 0 ? { freeBytes: null, diskBytes: null } : { freeBytes: bavail * bsize, diskBytes: blocks * bsize };
}

async function nearestPresent(folder: string): Promise<string> {
  try {
    await access(folder);
    return folder;
  } catch (error) {
    const parent = dirname(folder);
    if (systemCodeOf(error) !== 'ENOENT' || parent === folder) throw error;
    return nearestPresent(parent);
  }
}

function shortageOf(freeBytes: number | null, minFreeBytes: number, bytes: number): string | null {
  if (freeBytes === null || freeBytes >= minFreeBytes + bytes) return null;
  const wanted =
    bytes === 0
      ? `the minimum is ${megabytes(minFreeBytes)} (MIN_FREE_BYTES)`
      : `this needs ${megabytes(bytes)} and a rest of ${megabytes(minFreeBytes)} (MIN_FREE_BYTES)`;
  return (
    `The disk of the data folder (PERENNIAL_HOME) has ${megabytes(freeBytes)} free; ${wanted}. ` +
    'Free space there: uploads, ingestion and training continue then, without a restart. Predictions continue meanwhile.'
  );
}

async function unwritable(folder: string): Promise<string | null> {
  try {
    await access(folder, constants.W_OK);
    return null;
  } catch (error) {
    return (
      `The data folder (PERENNIAL_HOME) is not writable (${systemCodeOf(error) || messageOf(error)}). Mount it read-write and give this user ` +
      'write access: uploads, ingestion and training continue then, without a restart. Predictions continue meanwhile.'
    );
  }
}

/** A number of bytes for people. */
export function megabytes(bytes: number): string {
  if (bytes >= 10_000_000_000) return `${(bytes / 1e9).toFixed(0)} GB`;
  return `${(bytes / 1e6).toFixed(bytes < 1_000_000_000 ? 1 : 0)} MB`;
}

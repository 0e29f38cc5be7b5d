import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../contracts/errors.js';
import { tryLock } from '../setup/lock.mjs';
import { dataFolderEntries } from '../setup/paths.mjs';

const markerSchema = z.object({ layout: z.number().int().positive() });

/** How to bring a data folder from each layout to the next: the first entry upgrades layout 1 to 2. */
const upgrades: readonly Upgrade[] = [];
export type Upgrade = (home: string) => void;

/**
 * Creates the data folder, or upgrades an older one to this layout. Throws when a newer Perennial wrote it, or when the
 * folder holds other files.
 */
export function openDataFolder(home: string, known: readonly Upgrade[] = upgrades): void {
  const layout = known.length + 1;
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const found = readLayout(home);
  if (found === null) {
    refuseForeign(home);
    writeLayout(home, layout);
  } else if (found > layout) {
    throw new Error(
      `${home} was written by a newer Perennial (layout ${found}; this one knows ${layout}). ` +
        'Use that version, or set PERENNIAL_HOME to another folder.',
    );
  } else {
    for (const [index, upgrade] of known.slice(found - 1).entries()) {
      upgrade(home);
      writeLayout(home, found + index + 1);
    }
  }
  for (const name of ['logs', 'run']) mkdirSync(join(home, name), { recursive: true, mode: 0o700 });
  closeToOthers(home);
}

/**
 * Lets only this account enter the folder and its entries, also those that another umask or an unpacked copy made readable.
 * Throws when it cannot, for instance because another account owns the folder.
 */
function closeToOthers(home: string): void {
  const entries = dataFolderEntries.map((name) => join(home, name));
  // Postgres' own folder lies below; started by root, it runs as another account, which outside Linux must pass the top.
  const top = process.getuid?.() === 0 && process.platform !== 'linux' ? 0o711 : 0o700;
  for (const path of [home, ...entries]) {
    // Follows a link: what lies elsewhere is data as well.
    const facts = statSync(path, { throwIfNoEntry: false });
    if (facts === undefined) continue;
    const mode = path === home ? top : facts.isDirectory() ? 0o700 : 0o600;
    if ((facts.mode & 0o777) !== mode) closeOne(path, mode);
  }
}

function closeOne(path: string, mode: number): void {
  try {
    chmodSync(path, mode);
  } catch (error) {
    throw new Error(
      `Other accounts may read ${path}, and its rights cannot be changed (${messageOf(error)}). ` +
        'Make this account its owner, or set PERENNIAL_HOME to a folder of your own.',
      { cause: error },
    );
  }
}

/**
 * Locks the folder for this stack and returns a function that releases it. Throws with the process id of the other stack
 * when one is running.
 */
export function claimDataFolder(home: string): () => void {
  const lock = tryLock(join(home, 'run', 'supervisor.lock'));
  if (lock.taken) return lock.release;
  throw new Error(
    `Perennial already runs on ${home} (process ${lock.holder.pid}). Stop it first (Ctrl-C there, or kill ${lock.holder.pid}), ` +
      'or set PERENNIAL_HOME and PORT to start a second one.',
  );
}

/** The layout version of a data folder; null when it has no marker file. */
export function readLayout(home: string): number | null {
  const file = join(home, 'layout.json');
  if (!existsSync(file)) return null;
  const parsed = markerSchema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (parsed.success) return parsed.data.layout;
  throw new Error(
    `${file} is damaged: it should be {"layout": 1}. Restore it or set PERENNIAL_HOME to another folder.`,
  );
}

function refuseForeign(home: string): void {
  const known = new Set(dataFolderEntries);
  const foreign = readdirSync(home).filter((name) => !known.has(name));
  if (foreign.length === 0) return;
  const examples = foreign.slice(0, 3).join(', ');
  throw new Error(`PERENNIAL_HOME is ${home}, which holds other files (${examples}). Set it to a new or empty folder.`);
}

function writeLayout(home: string, layout: number): void {
  const file = join(home, 'layout.json');
  writeFileSync(`${file}.draft`, `${JSON.stringify({ layout })}\n`);
  renameSync(`${file}.draft`, file);
}

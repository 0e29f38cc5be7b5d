import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { stateFile } from './paths.mjs';

/**
 * The results of set-up steps, by step (a path or a digest), so that the next set-up can skip what is done.
 * @typedef {Record<string, string>} SetupState
 */

/**
 * @param {string} [file]
 * @returns {SetupState} empty before the first set-up and when the file is damaged
 */
export function readState(file = stateFile) {
  try {
    /** @type {unknown} */
    const content = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof content !== 'object' || content === null) return {};
    /** @type {SetupState} */
    const state = {};
    for (const [key, value] of Object.entries(content)) if (typeof value === 'string') state[key] = value;
    return state;
  } catch {
    return {};
  }
}

/**
 * Merges results into the state. The file is written under a temporary name and renamed, so it is never incomplete.
 * @param {SetupState} changes
 * @param {string} [file]
 */
export function remember(changes, file = stateFile) {
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.${String(process.pid)}`;
  writeFileSync(draft, JSON.stringify({ ...readState(file), ...changes }, null, 2));
  renameSync(draft, file);
}

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { stateFile } from './paths.mjs';

/**
 * What set-up did, so that the next one need not do it again: one text for each step (a path or a digest).
 * @typedef {Record<string, string>} SetupState
 */

/**
 * @param {string} [file]
 * @returns {SetupState} empty when nothing was set up yet or the file is not ours
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
 * Adds to what is remembered. Written under a temporary name first, so that it is whole or not there.
 * @param {SetupState} changes
 * @param {string} [file]
 */
export function remember(changes, file = stateFile) {
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.${String(process.pid)}`;
  writeFileSync(draft, JSON.stringify({ ...readState(file), ...changes }, null, 2));
  renameSync(draft, file);
}

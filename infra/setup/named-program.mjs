import { isProgram } from './commands.mjs';

/**
 * The program a variable of the user's names, which then is the one to use.
 * @param {string} variable
 * @returns {string | null} null when the variable is not set
 */
export function namedProgram(variable) {
  const path = process.env[variable];
  if (!path) return null;
  if (!isProgram(path)) throw new Error(`${variable} names ${path}, which is no program`);
  return path;
}

/**
 * Whether the program that is remembered is still there and still the one the user wants.
 * @param {string | undefined} remembered
 * @param {string} variable
 */
export function isStillWanted(remembered, variable) {
  const named = process.env[variable];
  return remembered !== undefined && isProgram(remembered) && (!named || named === remembered);
}

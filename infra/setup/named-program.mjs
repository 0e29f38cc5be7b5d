import { isProgram } from './commands.mjs';

/**
 * The program that an environment variable of the user names; it takes precedence over what set-up would find.
 * @param {string} variable
 * @returns {string | null} null when the variable is not set
 */
export function namedProgram(variable) {
  const path = process.env[variable];
  if (!path) return null;
  if (!isProgram(path)) throw new Error(`${variable} is ${path}, which is not an executable file`);
  return path;
}

/**
 * Whether the program of the last set-up still exists and is still the one the variable names, if it names one.
 * @param {string | undefined} remembered
 * @param {string} variable
 */
export function isStillWanted(remembered, variable) {
  const named = process.env[variable];
  return remembered !== undefined && isProgram(remembered) && (!named || named === remembered);
}

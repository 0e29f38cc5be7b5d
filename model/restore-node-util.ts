import util from 'node:util';

const removed = {
  isNullOrUndefined: (value: unknown): boolean => value === null || value === undefined,
  isArray: (value: unknown): boolean => Array.isArray(value),
};

/**
 * Restores the functions of `node:util` that TF.js calls and Node 23 removed. Existing functions are not replaced.
 * Import this file before `@tensorflow/tfjs-node`.
 */
export function restoreNodeUtil(target: object = util): void {
  for (const [name, implementation] of Object.entries(removed)) {
    if (!(name in target)) Object.defineProperty(target, name, { value: implementation, configurable: true });
  }
}

restoreNodeUtil();

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { z } from 'zod';

setFlagsFromString('--expose-gc');
const gc = z.custom<() => void>((value) => typeof value === 'function').parse(runInNewContext('gc'));

/** What this process holds without its garbage, which V8 lets lie for as long as there is room. */
export function memoryHeld(): NodeJS.MemoryUsage {
  gc();
  return process.memoryUsage();
}

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { z } from 'zod';

setFlagsFromString('--expose-gc');
const gc = z.custom<() => void>((value) => typeof value === 'function').parse(runInNewContext('gc'));

/** Memory of this process after a garbage collection, which V8 otherwise postpones. */
export function memoryHeld(): NodeJS.MemoryUsage {
  gc();
  return process.memoryUsage();
}

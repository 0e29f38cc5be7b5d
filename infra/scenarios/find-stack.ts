import { join } from 'node:path';
import type { Config } from '../../platform/config.js';
import { reachableUrl } from '../local/program-specs.js';
import { recordedPorts } from '../local/stack-ports.js';
import { readHolder } from '../setup/lock.mjs';
import { isRunning } from '../setup/process-identity.mjs';

/** Where the API of the stack listens that runs on the data folder. Throws when none does. */
export function findStack({ PERENNIAL_HOME: home, HOST: host }: Config): string {
  const holder = readHolder(join(home, 'run', 'supervisor.lock'));
  const ports = recordedPorts(join(home, 'run', 'stack.json'));
  if (holder !== null && isRunning(holder) && ports !== null) return reachableUrl(host, ports.api);
  throw new Error(
    `Perennial does not run on ${home}. Start it in another terminal (npm start), wait until it serves, ` +
      'and play the scenario again; PERENNIAL_HOME names another data folder.',
  );
}

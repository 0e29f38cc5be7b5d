import { join } from 'node:path';
import type { Config } from '../../platform/config.js';
import { reachableUrl } from '../local/program-specs.js';
import { recordedPorts } from '../local/stack-ports.js';
import { readHolder } from '../setup/lock.mjs';
import { isRunning } from '../setup/process-identity.mjs';

/** The API address of the stack that runs on the data folder. Throws when none is running. */
export function findStack({ PERENNIAL_HOME: home, HOST: host }: Config): string {
  const holder = readHolder(join(home, 'run', 'supervisor.lock'));
  const ports = recordedPorts(join(home, 'run', 'stack.json'));
  if (holder !== null && isRunning(holder) && ports !== null) return reachableUrl(host, ports.api);
  throw new Error(
    `Perennial is not running on ${home}. Start it in another terminal (npm start), wait until it serves a model, ` +
      'and run the scenario again; set PERENNIAL_HOME for another data folder.',
  );
}

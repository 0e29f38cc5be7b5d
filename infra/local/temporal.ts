import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { searchAttributes } from '../../contracts/names.js';
import { temporalBinary } from './binaries.js';
import { plainEnvironment, stopOrders, type ChildSpec } from './child-spec.js';
import { answersHttp } from './ports.js';

export interface TemporalOptions {
  /** Folder for its state; null keeps the state in memory, for tests. */
  folder: string | null;
  port: number;
  uiPort: number;
  namespace: string;
}

export interface LocalTemporal {
  spec: ChildSpec;
  address: string;
  uiUrl: string;
}

/** By default the server polls for tasks 20 times a second, which delays each workflow step by up to 100 ms. */
const quickTasks = ['--dynamic-config-value', 'history.transferProcessorMaxPollRPS=2000'];
const quickDisk = ['--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'];

/** A local Temporal server with its Web UI that listens on the loopback address only. */
export function localTemporal({ folder, port, uiPort, namespace }: TemporalOptions): LocalTemporal {
  const uiUrl = `http://127.0.0.1:${uiPort}`;
  const place = folder === null ? [] : ['--db-filename', join(folder, 'temporal.db'), ...quickDisk];
  if (folder !== null) mkdirSync(folder, { recursive: true, mode: 0o700 });
  return {
    address: `127.0.0.1:${port}`,
    uiUrl,
    spec: {
      name: 'temporal',
      command: temporalBinary(),
      args: [
        ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--ui-port', String(uiPort)],
        ...['--namespace', namespace, '--log-level', 'warn', '--log-format', 'json'],
        ...place,
        ...quickTasks,
        ...searchAttributes.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
      ],
      env: plainEnvironment(),
      // Polled through the Web UI, which checks both at once.
      ready: () => answersHttp(`${uiUrl}/api/v1/namespaces/${namespace}`, (status) => status === 200),
      readyTimeoutMs: 60_000,
      stopSignal: 'SIGTERM',
      stopOrder: stopOrders.temporal,
      graceMs: 10_000,
    },
  };
}

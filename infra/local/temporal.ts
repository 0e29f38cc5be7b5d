import { randomInt } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { searchAttributes } from '../../contracts/names.js';
import { temporalBinary } from './binaries.js';
import { plainEnvironment, stopOrders, type ChildSpec } from './child-spec.js';
import { answersHttp, freePorts } from './ports.js';
import type { Place } from './web-ui-guard.js';

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
  /** Where users find the Web UI, once `guardWebUi` serves it there. */
  uiUrl: string;
  /** Where the Web UI itself listens. */
  hiddenUi: Place;
}

/** By default the server polls for tasks 20 times a second, which delays each workflow step by up to 100 ms. */
const quickTasks = ['--dynamic-config-value', 'history.transferProcessorMaxPollRPS=2000'];
/**
 * Beside gRPC, which no page can speak, the server has an HTTP API that would start a workflow for any page. It cannot be
 * turned off, but restricted to hosts: no request can have this one.
 */
const closedHttp = ['--dynamic-config-value', 'frontend.httpAllowedHosts=["no host at all"]'];
const quickDisk = ['--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'];

/** A local Temporal server with its Web UI that listens on loopback addresses only. */
export async function localTemporal({ folder, port, uiPort, namespace }: TemporalOptions): Promise<LocalTemporal> {
  const hiddenUi = await hiddenPlace(uiPort);
  const place = folder === null ? [] : ['--db-filename', join(folder, 'temporal.db'), ...quickDisk];
  if (folder !== null) mkdirSync(folder, { recursive: true, mode: 0o700 });
  return {
    address: `127.0.0.1:${port}`,
    uiUrl: `http://127.0.0.1:${uiPort}`,
    hiddenUi,
    spec: {
      name: 'temporal',
      command: temporalBinary(),
      args: [
        ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port)],
        ...['--ui-ip', hiddenUi.host, '--ui-port', String(hiddenUi.port)],
        ...['--namespace', namespace, '--log-level', 'warn', '--log-format', 'json'],
        ...place,
        ...quickTasks,
        ...closedHttp,
        ...searchAttributes.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
      ],
      env: plainEnvironment(),
      // Polled through the Web UI, which checks both at once.
      ready: () =>
        answersHttp(
          `http://${hiddenUi.host}:${hiddenUi.port}/api/v1/namespaces/${namespace}`,
          (status) => status === 200,
        ),
      readyTimeoutMs: 60_000,
      stopSignal: 'SIGTERM',
      stopOrder: stopOrders.temporal,
      graceMs: 10_000,
    },
  };
}

/**
 * A place for the Web UI that pages do not find: on Linux, where every 127.x.y.z is loopback, an address that would have to
 * be guessed; elsewhere a port only.
 */
async function hiddenPlace(uiPort: number): Promise<Place> {
  if (process.platform === 'linux') {
    return { host: `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`, port: uiPort };
  }
  const [port = 0] = await freePorts(1);
  return { host: '127.0.0.1', port };
}

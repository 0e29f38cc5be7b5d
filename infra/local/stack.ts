import { join } from 'node:path';
import type { Config } from '../../platform/config.js';
import type { ChildSpec } from './child-spec.js';
import { objectStoreKeys, type ObjectStoreKeys } from './object-store-keys.js';
import { localObjectStore } from './object-store.js';
import { localPostgres } from './postgres.js';
import { programSpecs, reachableUrl, type StackAddresses } from './program-specs.js';
import type { RunningChild } from './running-child.js';
import { choosePorts, type Ports } from './stack-ports.js';
import type { Supervisor } from './supervisor.js';
import { localTemporal } from './temporal.js';
import { guardWebUi } from './web-ui-guard.js';

export interface StackOptions {
  config: Config;
  supervisor: Supervisor;
  environment: NodeJS.ProcessEnv;
  /** Called when a process is ready, with its address and its start time. */
  onReady: (name: string, where: string, tookMs: number) => void;
}

export interface Stack {
  apiUrl: string;
  temporalUiUrl: string | null;
}

/**
 * Starts the services that no setting replaces, in parallel, then Perennial's own processes. Resolves when all are ready.
 * Throws when one of them cannot be started; the caller then stops the others.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { config } = options;
  const ports = await choosePorts(
    {
      api: config.PORT,
      postgres: config.POSTGRES_PORT,
      s3: config.S3_PORT,
      temporal: config.TEMPORAL_PORT,
      temporalUi: config.TEMPORAL_UI_PORT,
    },
    join(config.PERENNIAL_HOME, 'run', 'stack.json'),
  );
  const addresses = await startServices(options, ports);
  const { PERENNIAL_HOME: home, SHUTDOWN_GRACE_MS: graceMs } = config;
  const apiUrl = reachableUrl(config.HOST, ports.api);
  const where = (name: string): string => (name === 'api' ? apiUrl : '');
  const specs = programSpecs(addresses, home, graceMs, options.environment);
  await Promise.all(specs.map((spec) => startOne(options, spec, where(spec.name))));
  return { apiUrl, temporalUiUrl: addresses.temporalUiUrl };
}

async function startServices(options: StackOptions, ports: Ports): Promise<StackAddresses> {
  const { config } = options;
  const [databaseUrl, objects, temporal] = await Promise.all([
    config.DATABASE_URL ?? startPostgres(options, ports.postgres),
    config.S3_ENDPOINT === undefined
      ? startObjectStore(options, ports.s3)
      : { endpoint: config.S3_ENDPOINT, keys: null },
    config.TEMPORAL_ADDRESS === undefined
      ? startTemporal(options, ports)
      : { address: config.TEMPORAL_ADDRESS, uiUrl: config.TEMPORAL_UI_URL ?? null },
  ]);
  return {
    databaseUrl,
    s3Endpoint: objects.endpoint,
    s3Keys: objects.keys,
    temporalAddress: temporal.address,
    temporalUiUrl: temporal.uiUrl,
    apiPort: ports.api,
    host: config.HOST,
  };
}

async function startPostgres(options: StackOptions, port: number): Promise<string> {
  const startedMs = Date.now();
  const { spec, url } = await localPostgres({ folder: join(options.config.PERENNIAL_HOME, 'postgres'), port });
  await startOne(options, spec, `127.0.0.1:${port}`, startedMs);
  return url;
}

async function startObjectStore(
  options: StackOptions,
  port: number,
): Promise<{ endpoint: string; keys: ObjectStoreKeys }> {
  const { S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey, ...config } = options.config;
  const folder = join(config.PERENNIAL_HOME, 's3');
  const isChosen = accessKeyId !== undefined && secretAccessKey !== undefined;
  const keys = isChosen ? { accessKeyId, secretAccessKey } : objectStoreKeys(folder);
  const { spec, endpoint } = localObjectStore({ folder, port, ...keys, region: config.S3_REGION });
  await startOne(options, spec, endpoint);
  return { endpoint, keys };
}

async function startTemporal(options: StackOptions, ports: Ports): Promise<{ address: string; uiUrl: string }> {
  const { config } = options;
  const { spec, address, uiUrl, hiddenUi } = await localTemporal({
    folder: join(config.PERENNIAL_HOME, 'temporal'),
    port: ports.temporal,
    uiPort: ports.temporalUi,
    namespace: config.TEMPORAL_NAMESPACE,
  });
  await guardWebUi(ports.temporalUi, hiddenUi);
  await startOne(options, spec, `${address}, Web UI ${uiUrl}`);
  return { address, uiUrl: config.TEMPORAL_UI_URL ?? uiUrl };
}

async function startOne(
  { supervisor, onReady }: StackOptions,
  spec: ChildSpec,
  where: string,
  startedMs = Date.now(),
): Promise<RunningChild> {
  const child = await supervisor.start(spec);
  onReady(spec.name, where, Date.now() - startedMs);
  return child;
}

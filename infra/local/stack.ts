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
 * Starts the services that no setting replaces and Perennial's own processes, in parallel. Resolves when all are ready.
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
  const { addresses, specs: services } = await localServices(config, ports);
  const servicesUp = Promise.all(services.map(({ spec, where }) => startOne(options, spec, where)));
  const { PERENNIAL_HOME: home, SHUTDOWN_GRACE_MS: graceMs } = config;
  const apiUrl = reachableUrl(config.HOST, ports.api);
  const where = (name: string): string => (name === 'api' ? apiUrl : '');
  const { environment } = options;
  const programs = programSpecs(addresses, { home, graceMs, environment, servicesUp });
  await Promise.all([servicesUp, ...programs.map((spec) => startOne(options, spec, where(spec.name)))]);
  return { apiUrl, temporalUiUrl: addresses.temporalUiUrl };
}

interface Services {
  addresses: StackAddresses;
  specs: { spec: ChildSpec; where: string }[];
}

/** Addresses of all services, and how those are started that no setting replaces. */
async function localServices(config: Config, ports: Ports): Promise<Services> {
  const specs: Services['specs'] = [];
  const add: Add = (spec, where) => void specs.push({ spec, where });
  const objects = config.S3_ENDPOINT
    ? { endpoint: config.S3_ENDPOINT, keys: null }
    : addObjectStore(config, ports.s3, add);
  const temporal = config.TEMPORAL_ADDRESS
    ? { address: config.TEMPORAL_ADDRESS, uiUrl: config.TEMPORAL_UI_URL ?? null }
    : await addTemporal(config, ports, add);
  const addresses = {
    databaseUrl: config.DATABASE_URL ?? addPostgres(config, ports.postgres, add),
    s3Endpoint: objects.endpoint,
    s3Keys: objects.keys,
    temporalAddress: temporal.address,
    temporalUiUrl: temporal.uiUrl,
    apiPort: ports.api,
    host: config.HOST,
  };
  return { addresses, specs };
}

type Add = (spec: ChildSpec, where: string) => void;

function addPostgres({ PERENNIAL_HOME: home }: Config, port: number, add: Add): string {
  const { spec, url } = localPostgres({ folder: join(home, 'postgres'), port });
  add(spec, `127.0.0.1:${port}`);
  return url;
}

function addObjectStore(
  {
    PERENNIAL_HOME: home,
    S3_REGION: region,
    S3_ACCESS_KEY_ID: accessKeyId,
    S3_SECRET_ACCESS_KEY: secretAccessKey,
  }: Config,
  port: number,
  add: Add,
): { endpoint: string; keys: ObjectStoreKeys } {
  const folder = join(home, 's3');
  const isChosen = accessKeyId !== undefined && secretAccessKey !== undefined;
  const keys = isChosen ? { accessKeyId, secretAccessKey } : objectStoreKeys(folder);
  const { spec, endpoint } = localObjectStore({ folder, port, ...keys, region });
  add(spec, endpoint);
  return { endpoint, keys };
}

async function addTemporal(
  { PERENNIAL_HOME: home, TEMPORAL_NAMESPACE: namespace, TEMPORAL_UI_URL: chosenUiUrl }: Config,
  ports: Ports,
  add: Add,
): Promise<{ address: string; uiUrl: string }> {
  const { spec, address, uiUrl, hiddenUi } = await localTemporal({
    folder: join(home, 'temporal'),
    port: ports.temporal,
    uiPort: ports.temporalUi,
    namespace,
  });
  await guardWebUi(ports.temporalUi, hiddenUi);
  add(spec, `${address}, Web UI ${uiUrl}`);
  return { address, uiUrl: chosenUiUrl ?? uiUrl };
}

async function startOne({ supervisor, onReady }: StackOptions, spec: ChildSpec, where: string): Promise<RunningChild> {
  const startedMs = Date.now();
  const child = await supervisor.start(spec);
  onReady(spec.name, where, Date.now() - startedMs);
  return child;
}

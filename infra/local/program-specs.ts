import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { waitArgument } from '../../contracts/process.js';
import { isAnyAddress } from '../../platform/config.js';
import { packageRoot } from '../../platform/paths.js';
import type { ObjectStoreKeys } from './object-store-keys.js';
import { stopOrders, type ChildSpec } from './child-spec.js';

/** Addresses of the services and of the API, for Perennial's own processes. */
export interface StackAddresses {
  databaseUrl: string;
  s3Endpoint: string;
  /** Keys of the local S3 server; null if the user has one. */
  s3Keys: ObjectStoreKeys | null;
  temporalAddress: string;
  temporalUiUrl: string | null;
  apiPort: number;
  host: string;
}

const programs = [
  { name: 'pipeline', file: 'workers/pipeline.js', stopOrder: stopOrders.workers },
  { name: 'training', file: 'workers/training.js', stopOrder: stopOrders.workers },
  { name: 'api', file: 'api/server.js', stopOrder: stopOrders.api },
] as const;

export interface ProgramOptions {
  home: string;
  graceMs: number;
  environment: NodeJS.ProcessEnv;
  /** Resolves when the services can be used. */
  servicesUp: Promise<unknown>;
}

/** Specs of the pipeline worker, the training worker and the API, which load their code while the services start. */
export function programSpecs(
  addresses: StackAddresses,
  { home, graceMs, environment, servicesUp }: ProgramOptions,
): ChildSpec[] {
  const env = { ...environment, ...programEnvironment(addresses, home, environment) };
  return programs.map(({ name, file, stopOrder }) => ({
    name,
    command: process.execPath,
    args: ['--enable-source-maps', join(packageRoot, 'dist', file), waitArgument],
    env,
    servicesUp,
    ready: 'message',
    readyTimeoutMs: 120_000,
    stopSignal: 'SIGTERM',
    stopOrder,
    // The process exits after its own grace period; the supervisor kills it only if that fails.
    graceMs: graceMs + 2_000,
  }));
}

function programEnvironment(
  addresses: StackAddresses,
  home: string,
  environment: NodeJS.ProcessEnv,
): Record<string, string> {
  const { databaseUrl, s3Endpoint, s3Keys, temporalAddress, temporalUiUrl, apiPort, host } = addresses;
  const dataset = environment['DATASET_DIR'];
  const cores = availableParallelism();
  return {
    PERENNIAL_HOME: home,
    DATABASE_URL: databaseUrl,
    S3_ENDPOINT: s3Endpoint,
    ...(s3Keys && { S3_ACCESS_KEY_ID: s3Keys.accessKeyId, S3_SECRET_ACCESS_KEY: s3Keys.secretAccessKey }),
    TEMPORAL_ADDRESS: temporalAddress,
    HOST: host,
    PORT: String(apiPort),
    REPLICA_URL: environment['REPLICA_URL'] ?? reachableUrl(host, apiPort),
    CODE_REVISION: environment['CODE_REVISION'] ?? gitRevision(),
    NODE_ENV: environment['NODE_ENV'] ?? 'production',
    // A warning for developers of the project, not for its users.
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    // Images are decoded in libuv's pool, which has four threads by default on any number of cores.
    UV_THREADPOOL_SIZE: environment['UV_THREADPOOL_SIZE'] ?? String(Math.max(4, cores)),
    // glibc keeps an arena per thread and returns little of it; with two arenas the processes use half the memory.
    MALLOC_ARENA_MAX: environment['MALLOC_ARENA_MAX'] ?? '2',
    ...(temporalUiUrl === null ? {} : { TEMPORAL_UI_URL: temporalUiUrl }),
    ...(dataset ? { DATASET_DIR: resolve(dataset) } : {}),
  };
}

/** The API's address for other processes of this machine. */
export function reachableUrl(host: string, port: number): string {
  const name = isAnyAddress(host) ? '127.0.0.1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

/** The current commit, with `-dirty` when files differ from it; `unknown` outside a Git clone. */
export function gitRevision(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'], {
      cwd: packageRoot,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}

import { join, resolve } from 'node:path';
import type { z } from 'zod';
import { PerennialError } from '../contracts/errors.js';
import { hostNameOf, hostPattern } from './allowed-hosts.js';
import { configSchema } from './config-schema.js';
import { packageRoot } from './paths.js';
import { hideSecretsOf } from './secrets.js';
import { validate } from './validation/validate.js';

export type Config = Readonly<Omit<z.infer<typeof configSchema>, 'PERENNIAL_HOME'> & { PERENNIAL_HOME: string }>;

/** Settings that require another one. */
const companions = [
  ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'],
  ['S3_SECRET_ACCESS_KEY', 'S3_ACCESS_KEY_ID'],
  ['INGEST_S3_ENDPOINT', 'INGEST_S3_BUCKET'],
  ['INGEST_S3_ACCESS_KEY_ID', 'INGEST_S3_SECRET_ACCESS_KEY'],
  ['INGEST_S3_SECRET_ACCESS_KEY', 'INGEST_S3_ACCESS_KEY_ID'],
  ['NOTIFY_WEBHOOK_URL', 'NOTIFY_WEBHOOK_SECRET'],
  ['SMTP_URL', 'NOTIFY_EMAIL_FROM'],
  ['SMTP_URL', 'NOTIFY_EMAIL_TO'],
] as const;

/** Reads the configuration. Throws one `configuration_invalid` error that names all wrong settings. */
export function loadConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const present = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  hideSecretsOf(present);
  const { data, faults } = validate(configSchema, present, 'the environment');
  const problems = [
    ...(faults?.map(({ detail }) => detail) ?? []),
    ...companions
      .filter(([name, needed]) => Object.hasOwn(present, name) && !Object.hasOwn(present, needed))
      .map(([name, needed]) => `${needed}: must be set when ${name} is set`),
  ];
  if (data !== null && data.SHUTDOWN_LEAVE_MS > data.SHUTDOWN_GRACE_MS / 4) {
    problems.push('SHUTDOWN_LEAVE_MS: must be at most a quarter of SHUTDOWN_GRACE_MS');
  }
  if (data === null || problems.length > 0) {
    throw new PerennialError(
      'configuration_invalid',
      `The configuration is invalid. Correct these environment variables and start again: ${problems.join('; ')}`,
    );
  }
  return { ...data, PERENNIAL_HOME: resolve(packageRoot, data.PERENNIAL_HOME) };
}

/** Folder for temporary files, which may be deleted at any time. */
export function scratchFolder(config: Config): string {
  return join(config.PERENNIAL_HOME, 'scratch');
}

/** Folder of local copies of model bundles. */
export function bundleFolder(config: Config): string {
  return join(config.PERENNIAL_HOME, 'bundles');
}

/** Hosts under which the API answers beside loopback: its own names in the settings, as patterns of `hostPattern`. */
export function allowedHosts({ ALLOWED_HOSTS, HOST, PUBLIC_URL, REPLICA_URL }: Config): string[] {
  const own = [PUBLIC_URL, REPLICA_URL].flatMap((url) => (url === undefined ? [] : [new URL(url).host]));
  const names = own.map(hostNameOf).filter((name) => name !== null);
  const listens = isAnyAddress(HOST) ? null : hostPattern(HOST);
  return [...ALLOWED_HOSTS, ...names, ...(listens === null ? [] : [listens])];
}

/** The path under which a proxy offers the API: its own setting, else that of PUBLIC_URL; empty for none. */
export function basePathOf({ BASE_PATH, PUBLIC_URL }: Config): string {
  return (BASE_PATH ?? (PUBLIC_URL === undefined ? '' : new URL(PUBLIC_URL).pathname)).replace(/\/+$/, '');
}

/** Whether a server that listens on this address does so on all addresses of the machine. */
export function isAnyAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** Folders that grow with use, which may be mounts of their own. */
export function localFolders(config: Config): string[] {
  return [config.PERENNIAL_HOME, scratchFolder(config)];
}

type ServiceAddresses = Record<'DATABASE_URL' | 'S3_ENDPOINT' | 'TEMPORAL_ADDRESS', string>;

/** Addresses of the services. `who` begins the error message. */
export function serviceAddresses(config: Config, who: string): ServiceAddresses {
  const { DATABASE_URL, S3_ENDPOINT, TEMPORAL_ADDRESS } = config;
  if (DATABASE_URL !== undefined && S3_ENDPOINT !== undefined && TEMPORAL_ADDRESS !== undefined) {
    return { DATABASE_URL, S3_ENDPOINT, TEMPORAL_ADDRESS };
  }
  throw new PerennialError(
    'configuration_invalid',
    `${who} needs DATABASE_URL, S3_ENDPOINT and TEMPORAL_ADDRESS; \`npm start\` sets them for the local stack.`,
  );
}

/** The environment for a child process: that of this process, with `changes`. */
export function childEnvironment(changes: Readonly<Record<string, string>>): Record<string, string | undefined> {
  return { ...process.env, ...changes };
}

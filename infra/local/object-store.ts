import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { minioBinary, objectStoreBinary, type ObjectStoreKind } from './binaries.js';
import { plainEnvironment, stopOrders, type ChildSpec } from './child-spec.js';
import { answersHttp } from './ports.js';

export interface ObjectStoreOptions {
  folder: string;
  port: number;
  accessKeyId: string;
  secretAccessKey: string;
  region: string;
  /** Overrides the server that set-up chose. */
  kind?: 'minio' | undefined;
}

export interface LocalObjectStore {
  spec: ChildSpec;
  endpoint: string;
  kind: ObjectStoreKind;
}

/** A local S3 server that stores its objects as files below `folder` and listens on the loopback address only. */
export function localObjectStore(options: ObjectStoreOptions): LocalObjectStore {
  const { path, kind } = options.kind === 'minio' ? { path: minioBinary(), kind: options.kind } : objectStoreBinary();
  const objects = join(options.folder, 'objects');
  mkdirSync(objects, { recursive: true, mode: 0o700 });
  const endpoint = `http://127.0.0.1:${options.port}`;
  return {
    endpoint,
    kind,
    spec: {
      name: 's3',
      command: path,
      ...commandLine(kind, objects, options),
      ready: () => answersHttp(`${endpoint}/health`, (status) => status < 500),
      readyTimeoutMs: 30_000,
      stopSignal: 'SIGTERM',
      stopOrder: stopOrders.s3,
      graceMs: 5_000,
    },
  };
}

/** The keys are passed in the environment, so that they do not appear in the process list. */
function commandLine(
  kind: ObjectStoreKind,
  objects: string,
  { port, accessKeyId, secretAccessKey, region }: ObjectStoreOptions,
): Pick<ChildSpec, 'args' | 'env'> {
  const address = `127.0.0.1:${port}`;
  switch (kind) {
    case 'versitygw':
      return {
        args: [
          '--port',
          address,
          '--region',
          region,
          '--health',
          '/health',
          '--keep-alive',
          '--quiet',
          'posix',
          objects,
        ],
        env: plainEnvironment({ ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey }),
      };
    case 'minio':
      return {
        args: ['server', objects, '--address', address, '--quiet'],
        env: plainEnvironment({
          MINIO_ROOT_USER: accessKeyId,
          MINIO_ROOT_PASSWORD: secretAccessKey,
          MINIO_REGION: region,
        }),
      };
    case 'rclone':
      return {
        args: ['serve', 's3', '--addr', address, '--vfs-cache-mode', 'off', objects],
        // RCLONE_AUTH_KEY is a comma-separated list of entries `key,secret`; the quotation marks make this one entry.
        env: plainEnvironment({ RCLONE_AUTH_KEY: `"${accessKeyId},${secretAccessKey}"` }),
      };
  }
}

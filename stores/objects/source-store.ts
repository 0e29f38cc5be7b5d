import type { Config } from '../../platform/config.js';
import { createObjectStore, type ObjectStore } from './object-store.js';

/** Read access to a bucket. */
export type SourceStore = Pick<ObjectStore, 'list' | 'open' | 'close'>;

/** The bucket of INGEST_S3_BUCKET, to read sources from; undefined without one. Own keys are sent to the own server only. */
export function createSourceStore(config: Config & { S3_ENDPOINT: string }): SourceStore | undefined {
  if (config.INGEST_S3_BUCKET === undefined) return undefined;
  const isOwnServer = config.INGEST_S3_ENDPOINT === undefined;
  return createObjectStore({
    ...config,
    S3_ENDPOINT: config.INGEST_S3_ENDPOINT ?? config.S3_ENDPOINT,
    S3_BUCKET: config.INGEST_S3_BUCKET,
    S3_REGION: config.INGEST_S3_REGION ?? config.S3_REGION,
    S3_ACCESS_KEY_ID: config.INGEST_S3_ACCESS_KEY_ID ?? (isOwnServer ? config.S3_ACCESS_KEY_ID : undefined),
    S3_SECRET_ACCESS_KEY: config.INGEST_S3_SECRET_ACCESS_KEY ?? (isOwnServer ? config.S3_SECRET_ACCESS_KEY : undefined),
  });
}

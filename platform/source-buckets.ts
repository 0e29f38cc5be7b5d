import { PerennialError } from '../contracts/errors.js';
import type { Config } from './config.js';

/** The settings that say which buckets a client may name as a source. */
export type SourceBuckets = Pick<Config, 'S3_BUCKET' | 'INGEST_S3_BUCKET'>;

/** Top folders of the own bucket in which Perennial keeps its objects. */
export const ownFolders = [
  ...['raw', 'train', 'validation', 'test', 'features', 'checkpoints', 'models', 'runs', 'searches', 'uploads'],
  'predictions',
] as const;

/** A folder of objects: its keys begin with the prefix, which ends with a slash or is empty. */
export interface BucketFolder {
  bucket: string;
  prefix: string;
}

/**
 * The folder of a bucket that a source names; without a bucket, that of INGEST_S3_BUCKET, else the own one. Throws `source_not_allowed` for
 * another bucket, and for the folders of the own bucket that hold everybody's data.
 */
export function sourceFolderOf(
  { S3_BUCKET, INGEST_S3_BUCKET }: SourceBuckets,
  { bucket = INGEST_S3_BUCKET ?? S3_BUCKET, prefix: asked }: { bucket?: string | undefined; prefix: string },
): BucketFolder {
  const prefix = asked.replace(/^\/+/, '').replace(/\/*$/, asked.replaceAll('/', '') === '' ? '' : '/');
  if (bucket !== S3_BUCKET && bucket !== INGEST_S3_BUCKET) {
    throw new PerennialError(
      'source_not_allowed',
      `The bucket ${bucket} is not configured as a source. The operator can name it in INGEST_S3_BUCKET, with INGEST_S3_ENDPOINT and keys if it is on another server.`,
    );
  }
  if (prefix.split('/').some((segment) => segment === '.' || segment === '..')) {
    throw new PerennialError(
      'source_not_allowed',
      `The prefix ${asked} has “.” or “..” in it. Name it as its keys begin.`,
    );
  }
  const [top = ''] = prefix.split('/');
  if (bucket === S3_BUCKET && (top === '' || ownFolders.some((own) => own === top))) {
    throw new PerennialError(
      'source_not_allowed',
      `${top === '' ? 'The whole bucket' : `The folder ${top}/`} holds objects of Perennial itself. Put the images under another prefix, such as incoming/.`,
    );
  }
  return { bucket, prefix };
}

const scheme = 's3://';

/** A bucket folder as text, `s3://bucket/prefix/`. */
export function bucketLocator({ bucket, prefix }: BucketFolder): string {
  return `${scheme}${bucket}/${prefix}`;
}

/** The folder of a locator. */
export function bucketOfLocator(locator: string): BucketFolder {
  const path = locator.slice(scheme.length);
  const end = path.indexOf('/');
  return { bucket: path.slice(0, end), prefix: path.slice(end + 1) };
}

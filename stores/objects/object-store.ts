import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { PerennialError } from '../../contracts/errors.js';
import type { Config } from '../../platform/config.js';
import { connectObjectStore } from './connect.js';
import { deleteObject, deleteObjects } from './delete-objects.js';
import { isMissing, toObjectStoreError } from './object-store-faults.js';
import { createQuickPut } from './quick-put.js';

export interface StoredObject {
  key: string;
  sizeBytes: number;
  /** When it was written last. */
  modifiedAt: Date;
}

/**
 * Objects by key in one bucket. Uses no conditional writes, copies, versioning or lifecycle rules: what must happen
 * once is decided in Postgres. Throws `object_store_unavailable`, `object_store_refused`, and
 * `not_found` for a missing key.
 */
export interface ObjectStore {
  /** Creates the bucket unless it exists. */
  ensureBucket(): Promise<void>;
  put(key: string, body: Uint8Array, contentType?: string): Promise<void>;
  /** Uploads a file as a stream. */
  putFile(key: string, path: string, contentType?: string): Promise<void>;
  get(key: string): Promise<Uint8Array>;
  /** The content of an object as a stream; the caller must read it to the end or destroy it. */
  open(key: string): Promise<Readable>;
  /** Downloads to `path` atomically. */
  getToFile(key: string, path: string): Promise<void>;
  /** SHA-256 and size of an object, read as a stream. */
  digest(key: string): Promise<{ sha256: string; sizeBytes: number }>;
  /** Size of an object in bytes; null if it does not exist. */
  head(key: string): Promise<{ sizeBytes: number } | null>;
  /** `pageSize`: objects per request; small pages keep the process responsive, large ones are faster. */
  list(prefix: string, pageSize?: number): AsyncIterable<StoredObject>;
  /** Removes an object; a missing one is no error. */
  delete(key: string): Promise<void>;
  /** Removes objects, many a request; throws when one of them cannot be removed. */
  deleteMany(keys: readonly string[]): Promise<void>;
  /** Removes every object below a prefix. The signal stops it between two requests. */
  deletePrefix(prefix: string, signal?: AbortSignal): Promise<void>;
  close(): void;
}

const anyType = 'application/octet-stream';

/** How long the reader of an open object may pause. */
const readerTimeoutMs = 60_000;

/** The object store of the configuration. Connects on first use. */
export function createObjectStore(config: Config & { S3_ENDPOINT: string }): ObjectStore {
  const client = connectObjectStore(config);
  const quick = createQuickPut(config);
  const bucket = config.S3_BUCKET;
  const deleteMany = (keys: readonly string[]): Promise<void> =>
    withErrorCodes(bucket, () => deleteObjects(client, bucket, keys));
  return {
    ensureBucket: () => withErrorCodes(bucket, () => ensureBucket(client, bucket)),
    put: (key, body, contentType = anyType) =>
      withErrorCodes(key, async () => {
        if (await quick?.put(key, body, contentType)) return;
        await put(client, { bucket, key, body, contentType, sizeBytes: body.byteLength });
      }),
    putFile: (key, path, contentType = anyType) =>
      withErrorCodes(key, () => putFile(client, { bucket, key, contentType }, path)),
    get: (key) =>
      withErrorCodes(key, async () => {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
        return Body ? await Body.transformToByteArray() : new Uint8Array();
      }),
    open: (key) =>
      withErrorCodes(key, async () => {
        const body = await open(client, bucket, key);
        // The connection also idles while the caller does not read, for instance on behalf of a slow client.
        if (body instanceof IncomingMessage) body.setTimeout(readerTimeoutMs);
        return body;
      }),
    getToFile: (key, path) => withErrorCodes(key, () => getToFile(client, bucket, key, path)),
    digest: (key) => withErrorCodes(key, () => sum(client, bucket, key)),
    head: (key) => withErrorCodes(key, () => head(client, bucket, key)),
    async *list(prefix, pageSize) {
      for await (const page of listPages(client, bucket, prefix, pageSize)) yield* page;
    },
    delete: (key) => withErrorCodes(key, () => deleteObject(client, bucket, key)),
    deleteMany,
    async deletePrefix(prefix, signal) {
      for await (const page of listPages(client, bucket, prefix)) {
        signal?.throwIfAborted();
        await deleteMany(page.map(({ key }) => key));
      }
    },
    close() {
      quick?.close();
      client.destroy();
    },
  };
}

async function withErrorCodes<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toObjectStoreError(error, what);
  }
}

interface PutRequest {
  bucket: string;
  key: string;
  body: Uint8Array | Readable;
  contentType: string;
  sizeBytes: number;
}

async function putFile(
  client: S3Client,
  target: Pick<PutRequest, 'bucket' | 'key' | 'contentType'>,
  path: string,
): Promise<void> {
  const { size } = await stat(path);
  const body = createReadStream(path);
  try {
    await put(client, { ...target, body, sizeBytes: size });
  } finally {
    // A request that fails before reading leaves the file open.
    body.destroy();
  }
}

async function put(client: S3Client, { bucket, key, body, contentType, sizeBytes }: PutRequest): Promise<void> {
  await client.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: body,
      ContentLength: sizeBytes,
      ContentType: contentType,
    }),
  );
}

async function ensureBucket(client: S3Client, bucket: string): Promise<void> {
  try {
    await client.send(new HeadBucketCommand({ Bucket: bucket }));
  } catch (error) {
    if (!isMissing(error)) throw error;
    try {
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
    } catch (failure) {
      const lostRace = failure instanceof Error && /^BucketAlready/.test(failure.name);
      if (!lostRace) throw failure;
    }
  }
}

async function open(client: S3Client, bucket: string, key: string): Promise<Readable> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  if (!(Body instanceof Readable))
    throw new PerennialError('internal', `The S3 client returned no stream for the object ${key}.`);
  return Body;
}

async function getToFile(client: S3Client, bucket: string, key: string, path: string): Promise<void> {
  const body = await open(client, bucket, key);
  const partial = `${path}.${String(process.pid)}.partial`;
  const file = createWriteStream(partial);
  try {
    await pipeline(body, file);
    await rename(partial, path);
  } catch (error) {
    // A file that is still being opened would appear after it was removed.
    if (!file.closed) await once(file, 'close').catch(() => undefined);
    await rm(partial, { force: true });
    throw error;
  }
}

async function sum(client: S3Client, bucket: string, key: string): Promise<{ sha256: string; sizeBytes: number }> {
  const body = await open(client, bucket, key);
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    hash.update(chunk);
    sizeBytes += chunk.byteLength;
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

async function head(client: S3Client, bucket: string, key: string): Promise<{ sizeBytes: number } | null> {
  try {
    const { ContentLength } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
    return { sizeBytes: ContentLength ?? 0 };
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function* listPages(
  client: S3Client,
  bucket: string,
  prefix: string,
  pageSize?: number,
): AsyncGenerator<StoredObject[]> {
  let token: string | undefined;
  do {
    const page = await withErrorCodes(prefix, () =>
      client.send(
        new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: prefix,
          ...(pageSize !== undefined && { MaxKeys: pageSize }),
          ...(token !== undefined && { ContinuationToken: token }),
        }),
      ),
    );
    // An object of unknown age counts as new, so that retention keeps it.
    yield (page.Contents ?? []).flatMap(({ Key, Size, LastModified }) =>
      Key === undefined ? [] : { key: Key, sizeBytes: Size ?? 0, modifiedAt: LastModified ?? new Date() },
    );
    token = page.NextContinuationToken;
  } while (token !== undefined);
}

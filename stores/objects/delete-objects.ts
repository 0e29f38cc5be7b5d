import { DeleteObjectCommand, DeleteObjectsCommand, type S3Client } from '@aws-sdk/client-s3';
import { concurrently } from '../../platform/concurrently.js';
import { statusOf, toObjectStoreError } from './object-store-faults.js';

/** Maximum number of keys that S3 accepts in one request. */
const keysPerRequest = 1_000;
/** Concurrent requests to a server that accepts only one key per request. */
const deletionsAtOnce = 8;
/** Statuses of servers that do not support a request for several keys, or require its Content-MD5. */
const refusals = new Set([400, 405, 501]);

export async function deleteObject(client: S3Client, bucket: string, key: string): Promise<void> {
  await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
}

/** Deletes objects, a thousand a request; those that are not there are no error. Throws when one cannot be deleted. */
export async function deleteObjects(client: S3Client, bucket: string, keys: readonly string[]): Promise<void> {
  for (let from = 0; from < keys.length; from += keysPerRequest) {
    const some = keys.slice(from, from + keysPerRequest);
    try {
      await deleteTogether(client, bucket, some);
    } catch (error) {
      if (!(error instanceof Error) || !refusals.has(statusOf(error))) throw error;
      await concurrently(some, deletionsAtOnce, (key) => deleteObject(client, bucket, key));
    }
  }
}

async function deleteTogether(client: S3Client, bucket: string, keys: readonly string[]): Promise<void> {
  const Objects = keys.map((Key) => ({ Key }));
  const { Errors = [] } = await client.send(
    new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }),
  );
  for (const { Key = '', Code = '', Message = Code } of Errors) {
    if (Code === 'NoSuchKey') continue;
    throw toObjectStoreError(Object.assign(new Error(`${Key} cannot be deleted: ${Message}`), { name: Code }), Key);
  }
}

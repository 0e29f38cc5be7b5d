import type { ReceivedFile } from '../http/body/multipart.js';
import { uploadKey } from '../../stores/objects/object-keys.js';
import type { Logger } from '../../platform/logging.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { UploadStore } from '../../stores/datasets/uploads.js';

/** Files that are uploaded to the object store concurrently. */
const filesAtOnce = 8;

/** Where uploaded files go. */
export interface UploadDestination {
  uploads: Pick<UploadStore, 'createUpload' | 'addUploadFile' | 'markDiscarded'>;
  objects: Pick<ObjectStore, 'putFile' | 'delete'>;
  logger: Logger;
}

/**
 * Stores files for an ingestion or, without a dataset, for a batch prediction, and returns the upload id. Removes them
 * if that fails.
 */
export async function storeUpload(
  stores: UploadDestination,
  upload: Parameters<UploadDestination['uploads']['createUpload']>[0],
  files: readonly ReceivedFile[],
): Promise<string> {
  const uploadId = await stores.uploads.createUpload(upload);
  for (let from = 0; from < files.length; from += filesAtOnce) {
    const batch = files.slice(from, from + filesAtOnce);
    const kept = await Promise.allSettled(batch.map((file, index) => storeFile(stores, uploadId, from + index, file)));
    const failed = kept.find((each) => each.status === 'rejected');
    if (!failed) continue;
    // A failed put may have stored its object.
    await discardUpload(stores, uploadId, from + batch.length);
    throw failed.reason;
  }
  return uploadId;
}

async function storeFile(
  { objects, uploads }: UploadDestination,
  uploadId: string,
  position: number,
  { name, path, sizeBytes }: ReceivedFile,
): Promise<void> {
  const key = uploadKey(uploadId, position);
  await objects.putFile(key, path);
  await uploads.addUploadFile(uploadId, position, name, key, sizeBytes);
}

/**
 * Removes the first `files` objects of an upload that will not be used, and the objects at `otherKeys`. Failures are
 * only logged.
 */
export async function discardUpload(
  { uploads, objects, logger }: UploadDestination,
  uploadId: string,
  files: number,
  otherKeys: readonly string[] = [],
): Promise<void> {
  try {
    for (let position = 0; position < files; position++) await objects.delete(uploadKey(uploadId, position));
    for (const key of otherKeys) await objects.delete(key);
    await uploads.markDiscarded(uploadId);
  } catch (error) {
    logger.warn({ error, upload_id: uploadId }, 'files of a failed upload stay in the object store');
  }
}

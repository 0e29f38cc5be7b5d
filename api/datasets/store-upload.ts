import { errorCodeOf } from '../../contracts/errors.js';
import type { ReceivedFile } from '../http/body/multipart.js';
import { uploadKey } from '../../stores/objects/object-keys.js';
import { concurrently } from '../../platform/concurrently.js';
import type { Logger } from '../../platform/logging.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import { discardUpload, type DiscardStores, type UploadStore } from '../../stores/datasets/uploads.js';

/** Files that are uploaded to the object store concurrently. */
const filesAtOnce = 8;

/** Where uploaded files go. */
export interface UploadDestination {
  uploads: Pick<UploadStore, 'createUpload' | 'addUploadFile' | 'markDiscarded'>;
  objects: Pick<ObjectStore, 'putFile' | 'deletePrefix'>;
  logger: Logger;
}

/** Stores files for an ingestion or a batch prediction and returns the upload id. Removes them if that fails. */
export async function storeUpload(
  stores: UploadDestination,
  upload: Parameters<UploadStore['createUpload']>[0],
  files: readonly ReceivedFile[],
): Promise<string> {
  const { objects, uploads } = stores;
  const uploadId = await uploads.createUpload(upload);
  try {
    await concurrently(files, filesAtOnce, async ({ name, path, sizeBytes }, position) => {
      const key = uploadKey(uploadId, position);
      await objects.putFile(key, path);
      await uploads.addUploadFile(uploadId, position, name, key, sizeBytes);
    });
  } catch (error) {
    await discardAfter(error, stores, uploadId);
    throw error;
  }
  return uploadId;
}

/** Removes an upload that could not be stored. While the object store does not answer, the client does not wait for it. */
export async function discardAfter(
  error: unknown,
  stores: DiscardStores & { logger: Logger },
  uploadId: string,
): Promise<void> {
  const discarded = discardUnused(stores, uploadId);
  if (errorCodeOf(error) !== 'object_store_unavailable') await discarded;
}

/** Removes an upload that will not be used. A failure is only logged: retention removes the rest. */
export async function discardUnused(stores: DiscardStores & { logger: Logger }, uploadId: string): Promise<void> {
  try {
    await discardUpload(stores, uploadId);
  } catch (error) {
    stores.logger.warn({ error, upload_id: uploadId }, 'files of a failed upload stay in the object store');
  }
}

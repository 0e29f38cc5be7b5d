import { hash, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImportForm, ImportInput, ImportOrder } from '../../contracts/registry/import.js';
import { hashFile } from '../../platform/hash-file.js';
import { importOrderKey, uploadKey } from '../../stores/objects/object-keys.js';
import { discardAfter } from '../datasets/store-upload.js';
import type { ReceivedFile } from '../http/body/multipart.js';
import type { Logger } from '../../platform/logging.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { UploadStore } from '../../stores/datasets/uploads.js';

export interface ModelUploadStores {
  uploads: Pick<UploadStore, 'createUpload' | 'addUploadFile' | 'markDiscarded'>;
  objects: Pick<ObjectStore, 'putFile' | 'deletePrefix'>;
  logger: Logger;
}

export interface ModelUpload {
  form: ImportForm;
  format: ImportOrder['format'];
  files: readonly HashedFile[];
  by: ImportOrder['by'];
  /** The received files, and a folder for one more. */
  folder: string;
}

interface HashedFile extends ReceivedFile {
  sha256: string;
}

export function hashFiles(files: readonly ReceivedFile[]): Promise<HashedFile[]> {
  return Promise.all(files.map(async (file) => ({ ...file, sha256: (await hashFile(file.path)).sha256 })));
}

/** Value of the label column for model uploads. */
const modelLabel = 'model';

/**
 * Stores an uploaded model for its import, the registration request last. Returns the input of the import. Removes
 * everything if that fails.
 */
export async function storeModelUpload(stores: ModelUploadStores, upload: ModelUpload): Promise<ImportInput> {
  const { form, format, by, folder } = upload;
  // Record the upload before storing anything, so that retention finds and removes abandoned uploads.
  const uploadId = await stores.uploads.createUpload({ dataset: form.dataset, label: modelLabel });
  const files: ImportOrder['files'] = [];
  try {
    for (const [position, { name, path, sizeBytes, sha256 }] of upload.files.entries()) {
      const key = uploadKey(uploadId, position);
      files.push({ name, key, sizeBytes, sha256 });
      await stores.objects.putFile(key, path);
    }
    const orderPath = join(folder, 'order.json');
    await writeFile(orderPath, JSON.stringify({ ...form, format, files, by } satisfies ImportOrder));
    await stores.objects.putFile(importOrderKey(uploadId), orderPath, 'application/json');
  } catch (error) {
    await discardAfter(error, stores, uploadId);
    throw error;
  }
  const { modelName, dataset, fills } = form;
  return {
    ...{ modelName, dataset, uploadId, contentId: contentIdOf(upload), format },
    ...(fills !== null && { fills }),
    ...{ trigger: 'manual', requestId: randomUUID() },
  };
}

/** Digest of the files and of everything that affects the import; description and tags are excluded. */
export function contentIdOf({ form, format, files }: Pick<ModelUpload, 'form' | 'format' | 'files'>): string {
  const { modelName, dataset, labels, scaling, output, fills } = form;
  const sums = files
    .map(({ name, sha256 }) => (format === 'onnx' ? sha256 : `${name} ${sha256}`))
    .sort((a, b) => (a < b ? -1 : 1));
  const target = fills === null ? {} : { fills };
  const content = JSON.stringify({ modelName, dataset, labels, scaling, output, format, sums, ...target });
  return hash('sha256', content).slice(0, 32);
}

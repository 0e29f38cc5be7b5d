import { hash, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImportForm, ImportInput, ImportOrder } from '../../contracts/registry/import.js';
import { sumOfFile } from '../../platform/file-sum.js';
import { importOrderKey, uploadKey } from '../../stores/objects/object-keys.js';
import { discardUpload, type ReceivedFile } from '../datasets/store-upload.js';
import type { Logger } from '../../platform/logging.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { UploadStore } from '../../stores/datasets/uploads.js';

interface Stores {
  uploads: Pick<UploadStore, 'getUpload' | 'createUpload' | 'addUploadFile' | 'markDiscarded'>;
  objects: Pick<ObjectStore, 'get' | 'open' | 'list' | 'sum' | 'putFile' | 'delete'>;
  logger: Logger;
}

export interface ModelUpload {
  form: ImportForm;
  format: ImportOrder['format'];
  files: readonly ReceivedFile[];
  by: ImportOrder['by'];
  /** Where the files are, and room for another one. */
  folder: string;
}

/** What stands in the record of uploads where those of images have their class. */
const modelLabel = 'model';

/**
 * Puts an uploaded model where its import finds it, what was said about it last. Gives what the import is started with.
 * Leaves nothing behind when that fails.
 */
export async function storeModelUpload(stores: Stores, upload: ModelUpload): Promise<ImportInput> {
  const { form, format, by, folder } = upload;
  // On record before anything is stored: what nobody imports is found and removed by retention.
  const uploadId = await stores.uploads.createUpload({ dataset: form.dataset, label: modelLabel });
  const files: ImportOrder['files'] = [];
  try {
    for (const [position, { name, path, sizeBytes }] of upload.files.entries()) {
      const key = uploadKey(uploadId, position);
      files.push({ name, key, sizeBytes, sha256: (await sumOfFile(path)).sha256 });
      await stores.objects.putFile(key, path);
    }
    const orderPath = join(folder, 'order.json');
    await writeFile(orderPath, JSON.stringify({ ...form, format, files, by } satisfies ImportOrder));
    await stores.objects.putFile(importOrderKey(uploadId), orderPath, 'application/json');
  } catch (error) {
    await discardModelUpload(stores, uploadId, files.length);
    throw error;
  }
  const { modelName, dataset } = form;
  const contentId = contentOf(form, format, files);
  return { modelName, dataset, uploadId, contentId, format, trigger: 'manual', requestId: randomUUID() };
}

/** Removes an upload that nothing will import. What stands in the way is only logged. */
export async function discardModelUpload(stores: Stores, uploadId: string, files: number): Promise<void> {
  await discardUpload(stores, uploadId, files, [importOrderKey(uploadId)]);
}

/** Hash of the files and of all that decides what becomes of them; what is only said about a model does not count. */
function contentOf(form: ImportForm, format: ImportOrder['format'], files: ImportOrder['files']): string {
  const { modelName, dataset, labels, scaling, output } = form;
  const sums = files
    .map(({ name, sha256 }) => (format === 'onnx' ? sha256 : `${name} ${sha256}`))
    .sort((a, b) => (a < b ? -1 : 1));
  const content = JSON.stringify({ modelName, dataset, labels, scaling, output, format, sums });
  return hash('sha256', content).slice(0, 32);
}

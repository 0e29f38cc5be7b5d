import { z } from 'zod';
import type { Example } from '../../contracts/datasets/datasets.js';
import { errorCodeOf, PerennialError } from '../../contracts/errors.js';
import { importOrderSchema, type ImportInput, type ImportOrder } from '../../contracts/registry/import.js';
import { readJson } from '../../platform/validation/json-file.js';
import { importedModelSchema } from '../../model/jobs.js';
import { checkedModelKey, importOrderKey } from '../../stores/objects/object-keys.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';

/** Result of the check of an upload, for the steps after it. */
export const checkedSchema = importedModelSchema.extend({ datasetVersion: z.number().int() });
export type Checked = z.infer<typeof checkedSchema>;

const checkedName = 'checked.json';
/** Name of the graph that will be served, stored between two steps. */
export const checkedGraphName = 'model.onnx';

/** Reads the request that came with an upload. Throws `not_found` when the upload was deleted. */
export async function readOrder(objects: ObjectStore, { uploadId }: ImportInput): Promise<ImportOrder> {
  return readJson(importOrderSchema, await readText(objects, importOrderKey(uploadId)));
}

export async function readChecked(objects: ObjectStore, { uploadId }: ImportInput): Promise<Checked> {
  return readJson(checkedSchema, await readText(objects, checkedModelKey(uploadId, checkedName)));
}

export async function writeChecked(objects: ObjectStore, { uploadId }: ImportInput, checked: Checked): Promise<void> {
  await objects.put(checkedModelKey(uploadId, checkedName), Buffer.from(JSON.stringify(checked)), 'application/json');
}

async function readText(objects: ObjectStore, key: string): Promise<string> {
  try {
    return Buffer.from(await objects.get(key)).toString('utf8');
  } catch (error) {
    if (errorCodeOf(error) !== 'not_found') throw error;
    throw new PerennialError('not_found', 'The uploaded files are gone. Upload the model again.', { cause: error });
  }
}

/** The images of one split on which a model can be evaluated: those of a class it has. */
export function judgedImages(
  examples: readonly Example[],
  side: Example['side'],
  labels: readonly string[],
): Example[] {
  const known = new Set(labels);
  return examples.filter((example) => example.side === side && known.has(example.label));
}

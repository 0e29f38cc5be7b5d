import type { z } from 'zod';
import { messageOf, PerennialError } from '../../contracts/errors.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { readJson } from '../../platform/validation/json-file.js';
import type { ObjectStore } from '../objects/object-store.js';

/**
 * The content of a JSON file of a stored bundle. Throws `not_found` if the bundle lacks it, and `bundle_invalid` for a damaged one.
 */
export async function readBundleJson<T>(
  objects: Pick<ObjectStore, 'get'>,
  { bundleKey }: Pick<ModelVersion, 'bundleKey'>,
  name: string,
  schema: z.ZodType<T>,
): Promise<T> {
  const key = `${bundleKey}/${name}`;
  const bytes = await objects.get(key);
  try {
    return readJson(schema, Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new PerennialError(
      'bundle_invalid',
      `${key} is damaged in the object store: it cannot be read as what training wrote (${messageOf(cause)}). Put it back from a copy, or train a new model.`,
      { cause, details: { file: name } },
    );
  }
}

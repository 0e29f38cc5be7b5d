import { errorCodeOf } from '../../contracts/errors.js';
import { bundleFiles } from '../../contracts/registry/bundle.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { modelMetricsSchema, type CrossValidation } from '../../contracts/training/training.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';

const recordSchema = modelMetricsSchema.pick({ crossValidation: true });

/** The cross-validation in the bundle of a version; null for an imported or older one, and for a damaged bundle. */
export async function crossValidationOf(
  { objects }: { objects: Pick<ObjectStore, 'get'> },
  { bundleKey }: Pick<ModelVersion, 'bundleKey'>,
): Promise<CrossValidation | null> {
  try {
    const text = Buffer.from(await objects.get(`${bundleKey}/${bundleFiles.metrics}`)).toString('utf8');
    const record: unknown = JSON.parse(text);
    return recordSchema.safeParse(record).data?.crossValidation ?? null;
  } catch (error) {
    if (errorCodeOf(error) === 'not_found' || error instanceof SyntaxError) return null;
    throw error;
  }
}

import { errorCodeOf } from '../../contracts/errors.js';
import { bundleFiles } from '../../contracts/registry/bundle.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { modelMetricsSchema, type CrossValidation } from '../../contracts/training/training.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import { readBundleJson } from '../../stores/registry/bundle-files.js';

const recordSchema = modelMetricsSchema.pick({ crossValidation: true });

/** The cross-validation in the bundle of a version; null for an imported or older one, and for a damaged bundle. */
export async function crossValidationOf(
  { objects }: { objects: Pick<ObjectStore, 'get'> },
  version: Pick<ModelVersion, 'bundleKey'>,
): Promise<CrossValidation | null> {
  try {
    return (await readBundleJson(objects, version, bundleFiles.metrics, recordSchema)).crossValidation;
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === 'not_found' || code === 'bundle_invalid') return null;
    throw error;
  }
}

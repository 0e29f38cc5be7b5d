import type { Variant } from '../../contracts/registry/bundle.js';
import { errorCodeOf } from '../../contracts/errors.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { ImageLimits } from '../../model/images/inspect.js';
import type { Logger } from '../../platform/logging.js';
import { fetchBundle, forgetBundle } from '../../stores/registry/bundles.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import { startBackgroundProcess, type BackgroundProcess } from './background-process.js';

export interface OpeningOptions {
  objects: ObjectStore;
  /** Folder of local copies of bundles. */
  bundleFolder: string;
  imageLimits: ImageLimits;
  /**
   * int8 where it passed its checks, or always fp32. Not whichever variant measures as faster, because a job must continue
   * with the same variant after its process was restarted.
   */
  variant: Variant;
  logger: Logger;
}

/**
 * Starts a process that loads a version. A damaged local copy of its bundle is deleted and fetched again, once; after that
 * `bundle_invalid` is thrown.
 */
export async function openBackground(
  { objects, bundleFolder, imageLimits: limits, variant, logger }: OpeningOptions,
  version: ModelVersion,
): Promise<BackgroundProcess> {
  const load = async (): Promise<BackgroundProcess> =>
    startBackgroundProcess({
      bundleFolder: await fetchBundle(objects, version, bundleFolder),
      limits,
      variant,
      logger,
    });
  try {
    return await load();
  } catch (error) {
    if (errorCodeOf(error) !== 'bundle_invalid') throw error;
    await forgetBundle(version, bundleFolder);
    return load();
  }
}

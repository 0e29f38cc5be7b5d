import { errorCodeOf } from '../contracts/errors.js';
import type { ModelVersion } from '../contracts/registry.js';
import { createEngine, type Engine, type EngineOptions } from '../model/serving/engine.js';
import type { Logger } from '../platform/logging.js';
import { fetchBundle, forgetBundle } from '../stores/bundles.js';
import type { ObjectStore } from '../stores/object-store.js';

export interface EngineSource {
  objects: ObjectStore;
  /** Folder of local copies of bundles. */
  cacheFolder: string;
  engine: Omit<EngineOptions, 'bundleFolder'>;
  logger: Logger;
}

export type LoadEngine = (version: ModelVersion) => Promise<Engine>;

/**
 * Loads the engine of a model version from its bundle, which is downloaded when it is not in the cache. A damaged
 * local copy is thrown away and downloaded again, once; when that one is damaged too, `bundle_invalid` is thrown.
 */
export function createEngineLoader({ objects, cacheFolder, engine, logger }: EngineSource): LoadEngine {
  const load = async (version: ModelVersion): Promise<Engine> => {
    const bundleFolder = await fetchBundle(objects, version, cacheFolder);
    return createEngine({ ...engine, bundleFolder });
  };
  return async (version) => {
    try {
      return await load(version);
    } catch (error) {
      if (errorCodeOf(error) !== 'bundle_invalid') throw error;
      logger.warn({ version: version.version, error }, 'the local copy of the bundle is damaged; downloading it again');
      await forgetBundle(version, cacheFolder);
    }
    try {
      return await load(version);
    } catch (error) {
      // What lies in the store is damaged: a copy kept here would only hide that it was repaired there.
      await forgetBundle(version, cacheFolder);
      throw error;
    }
  };
}

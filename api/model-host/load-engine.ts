import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { Engine, EngineOptions } from '../../model/serving/engine.js';
import { loadEngine } from '../../model/serving/load-engine.js';
import { fetchBundle, forgetBundle } from '../../stores/registry/bundles.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';

export interface EngineSource {
  objects: ObjectStore;
  /** Folder of cached bundles. */
  cacheFolder: string;
  engine: Omit<EngineOptions, 'bundleFolder'>;
}

export type LoadEngine = (version: ModelVersion) => Promise<Engine>;

/** Loads the engine of a model version from its bundle; downloads the bundle if it is not cached. */
export function createEngineLoader({ objects, cacheFolder, engine }: EngineSource): LoadEngine {
  return (version) =>
    loadEngine(
      { fetch: () => fetchBundle(objects, version, cacheFolder), forget: () => forgetBundle(version, cacheFolder) },
      engine,
    );
}

import { errorCodeOf } from '../../contracts/errors.js';
import { createEngine, type Engine, type EngineOptions } from './engine.js';

/** Where the local copy of a bundle comes from. */
export interface BundleSource {
  /** Gives the folder of the local copy, brought here when there is none. */
  fetch(): Promise<string>;
  /** Throws the local copy away. */
  forget(): Promise<void>;
}

/**
 * Loads an engine from a bundle whose local copy may have been damaged: such a copy is thrown away and brought again,
 * once. When that one is damaged too, `bundle_invalid` is thrown.
 */
export async function loadEngine(source: BundleSource, options: Omit<EngineOptions, 'bundleFolder'>): Promise<Engine> {
  const load = async (): Promise<Engine> => createEngine({ ...options, bundleFolder: await source.fetch() });
  try {
    return await load();
  } catch (error) {
    if (errorCodeOf(error) !== 'bundle_invalid') throw error;
    await source.forget();
  }
  try {
    return await load();
  } catch (error) {
    // What lies in the store is damaged: a copy kept here would only hide that it was repaired there.
    await source.forget();
    throw error;
  }
}

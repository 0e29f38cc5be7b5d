import { errorCodeOf } from '../../contracts/errors.js';
import { createEngine, type Engine, type EngineOptions } from './engine.js';

/** Where the local copy of a bundle comes from. */
export interface BundleSource {
  /** Returns the folder of the local copy, downloaded when there is none. */
  fetch(): Promise<string>;
  /** Deletes the local copy. */
  forget(): Promise<void>;
}

/**
 * Loads an engine. A damaged local copy of the bundle is deleted and downloaded again, once. When that one is damaged
 * too, `bundle_invalid` is thrown.
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
    // The stored bundle is damaged. No local copy is kept, so that a repair in the store takes effect.
    await source.forget();
    throw error;
  }
}

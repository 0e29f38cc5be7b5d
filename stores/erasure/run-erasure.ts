import type { Actor } from '../../contracts/audit/audit.js';
import { errorCodeOf } from '../../contracts/errors.js';
import type { Erasure, ErasureRequest, ErasureStore } from './erasures.js';
import type { ObjectStore } from '../objects/object-store.js';

export interface ErasureStores {
  erasures: Pick<ErasureStore, 'begin' | 'get' | 'pending' | 'forget' | 'unfinished'>;
  objects: Pick<ObjectStore, 'deleteMany' | 'deletePrefix'>;
  /** Writes the listings and manifests of the dataset versions that an erased image was in, without it. */
  publisher: { publishPending(): Promise<void> };
}

/** Objects on the list that are deleted at once. */
const batchSize = 200;

/**
 * Erases a subject: first its rows, with a tombstone, then its objects. While the object store is unavailable the objects
 * stay pending; calling it again, or `finishErasures`, resumes. Throws as `ErasureStore.begin`.
 */
export async function erase(stores: ErasureStores, request: ErasureRequest, by: Actor): Promise<Erasure> {
  const { id } = await stores.erasures.begin(request, by);
  try {
    if (request.kind === 'image') await stores.publisher.publishPending();
    await deleteObjects(stores, id);
  } catch (error) {
    if (!isStoreFault(error)) throw error;
  }
  return stores.erasures.get(id);
}

/** Completes interrupted erasures; returns their number. */
export async function finishErasures(stores: ErasureStores): Promise<number> {
  await stores.publisher.publishPending();
  const unfinished = await stores.erasures.unfinished();
  for (const id of unfinished) await deleteObjects(stores, id);
  return unfinished.length;
}

function isStoreFault(error: unknown): boolean {
  const code = errorCodeOf(error);
  return code === 'object_store_unavailable' || code === 'object_store_refused';
}

async function deleteObjects({ erasures, objects }: ErasureStores, id: number): Promise<void> {
  for (;;) {
    const keys = await erasures.pending(id, batchSize);
    if (keys.length === 0) return;
    const isPrefix = (key: string): boolean => key.endsWith('/');
    await objects.deleteMany(keys.filter((key) => !isPrefix(key)));
    for (const prefix of keys.filter(isPrefix)) await objects.deletePrefix(prefix);
    await erasures.forget(id, keys);
  }
}

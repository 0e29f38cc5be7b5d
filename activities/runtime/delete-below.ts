import type { ObjectStore } from '../../stores/objects/object-store.js';
import { concurrently } from '../../platform/concurrently.js';

/** A deletion is a round trip: one after the other, those of a job of 100,000 images would take half a minute. */
const deletionsAtOnce = 8;
/** Keys in memory at once. */
const keysAtOnce = 1_000;

/** Deletes every object below a prefix. The signal stops it between two objects. */
export async function deleteBelow(
  objects: Pick<ObjectStore, 'list' | 'delete'>,
  prefix: string,
  signal?: AbortSignal,
): Promise<void> {
  let keys: string[] = [];
  const flush = async (): Promise<void> => {
    await concurrently(keys, deletionsAtOnce, (key) => objects.delete(key), signal);
    keys = [];
  };
  for await (const { key } of objects.list(prefix)) {
    keys.push(key);
    if (keys.length === keysAtOnce) await flush();
  }
  await flush();
}

import type { Actor } from '../../contracts/audit/audit.js';
import { removeBundle } from './bundles.js';
import type { ObjectStore } from '../objects/object-store.js';
import type { Tombstone, VersionRetention } from './version-deletion.js';

export interface DeletionStores {
  registry: Pick<VersionRetention, 'markDeleted' | 'unfinishedDeletions' | 'bundleRemoved'>;
  objects: Pick<ObjectStore, 'delete' | 'deletePrefix'>;
}

export interface Deletion {
  modelName: string;
  version: number;
  by: Actor;
  reason: string;
  /** Revisions that the deletion expects (If-Match); null for any. */
  ifRevision?: readonly number[] | null;
}

/**
 * Deletes an unreferenced version: its row becomes a tombstone, then its bundle is removed. If the object store is
 * unavailable in between, calling it again completes the deletion. Throws as `VersionRetention.markDeleted`.
 */
export async function deleteVersion(stores: DeletionStores, deletion: Deletion): Promise<Tombstone> {
  const { modelName, version, by, reason, ifRevision = null } = deletion;
  const tombstone = await stores.registry.markDeleted(modelName, version, { by, reason, ifRevision });
  await removeRemains(stores, tombstone);
  return tombstone;
}

/** Removes the bundles of versions whose deletion was interrupted; returns their number. */
export async function finishDeletions(stores: DeletionStores): Promise<number> {
  const unfinished = await stores.registry.unfinishedDeletions();
  for (const tombstone of unfinished) await removeRemains(stores, tombstone);
  return unfinished.length;
}

async function removeRemains({ registry, objects }: DeletionStores, tombstone: Tombstone): Promise<void> {
  if (tombstone.bundleKey !== null) await removeBundle(objects, tombstone.bundleKey);
  await registry.bundleRemoved(tombstone.modelName, tombstone.version);
}

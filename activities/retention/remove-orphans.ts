import type { OrphanCount, StorageKind } from '../../contracts/storage/storage.js';
import { claimHours, removalLock } from '../../stores/objects/object-claims.js';
import type { ObjectStore, StoredObject } from '../../stores/objects/object-store.js';
import type { AdvisoryLocks } from '../../stores/postgres/advisory-lock.js';
import { classifyKey, type ObjectRule } from '../../stores/storage/object-kinds.js';
import type { ObjectReferences } from '../../stores/storage/object-references.js';
import type { Report } from '../runtime/heartbeat.js';

export interface OrphanDependencies {
  locks: Pick<AdvisoryLocks, 'withLock'>;
  objects: Pick<ObjectStore, 'list' | 'deleteMany'>;
  references: ObjectReferences;
  /** The present time; tests set it. */
  now?: () => Date;
}

interface Sweep extends OrphanDependencies {
  dryRun: boolean;
  report: Report;
  signal: AbortSignal;
}

/** Objects whose references are looked up, and that are deleted, in one request. */
const batchSize = 500;

/**
 * Removes the objects that Perennial wrote more than two days ago and that nothing refers to, or counts them in a dry
 * run. References are read after the listing, and once more right before the deletion, while no writer can claim a key.
 */
export async function removeOrphans(sweep: Sweep): Promise<OrphanCount[]> {
  const before = (sweep.now?.() ?? new Date()).getTime() - claimHours * 3_600_000;
  const orphans = new Map<StorageKind, OrphanCount>();
  const candidates = new Map<ObjectRule, StoredObject[]>();
  let listed = 0;
  for await (const object of sweep.objects.list('')) {
    sweep.signal.throwIfAborted();
    sweep.report({ listed: (listed += 1) });
    const rule = classifyKey(object.key)?.rule;
    if (!rule || object.modifiedAt.getTime() >= before) continue;
    const batch = candidates.get(rule) ?? [];
    candidates.set(rule, batch);
    if (batch.push(object) === batchSize) await removeSome(sweep, rule, batch.splice(0), orphans);
  }
  for (const [rule, batch] of candidates) await removeSome(sweep, rule, batch, orphans);
  return [...orphans.values()];
}

async function removeSome(
  sweep: Sweep,
  rule: ObjectRule,
  batch: readonly StoredObject[],
  orphans: Map<StorageKind, OrphanCount>,
): Promise<void> {
  sweep.signal.throwIfAborted();
  const found = await sweep.references.unreferenced(
    rule,
    batch.map(({ key }) => key),
  );
  const removed = new Set(sweep.dryRun || found.length === 0 ? found : await deleteUnreferenced(sweep, rule, found));
  for (const { key, sizeBytes } of batch) {
    if (!removed.has(key)) continue;
    const count = orphans.get(rule.kind) ?? { kind: rule.kind, objects: 0, bytes: 0 };
    orphans.set(rule.kind, { ...count, objects: count.objects + 1, bytes: count.bytes + sizeBytes });
  }
}

/** A writer claims a key before it uploads. The lock lets the claim come before the check, or after the deletion. */
function deleteUnreferenced(
  { locks, objects, references }: Sweep,
  rule: ObjectRule,
  keys: readonly string[],
): Promise<string[]> {
  return locks.withLock(removalLock, async () => {
    const unreferenced = await references.unreferenced(rule, keys);
    await references.forget(rule, unreferenced);
    await objects.deleteMany(unreferenced);
    return unreferenced;
  });
}

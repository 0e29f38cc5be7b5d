import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { removeOrphans, type OrphanDependencies } from '../../activities/retention/remove-orphans.js';
import type { OrphanCount } from '../../contracts/storage/storage.js';
import { withHeartbeat } from '../../activities/runtime/heartbeat.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import * as keys from '../../stores/objects/object-keys.js';
import { createAdvisoryLocks } from '../../stores/postgres/advisory-lock.js';
import type { Database } from '../../stores/postgres/database.js';
import { createObjectReferences } from '../../stores/storage/object-references.js';

/** Three days from now: all present objects are old enough to be removed. */
export const inThreeDays = (): Date => new Date(Date.now() + 3 * 86_400_000);

/** What `removeOrphans` needs, in the future. */
export function orphanDependencies(db: Database, objects: ObjectStore): OrphanDependencies {
  return { locks: createAdvisoryLocks(db), references: createObjectReferences(db), objects, now: inThreeDays };
}

/** Runs the activity as a worker would. */
export function sweep(deps: OrphanDependencies, dryRun = false): Promise<OrphanCount[]> {
  const run = (): Promise<OrphanCount[]> =>
    withHeartbeat((report, signal) => removeOrphans({ ...deps, dryRun, report, signal }));
  return new MockActivityEnvironment().run(run);
}

/** Keys below a prefix. */
export async function keysOf(objects: ObjectStore, prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of objects.list(prefix)) found.push(key);
  return found.sort();
}

/** Stores an object under each key, of a byte. */
export async function plant(objects: ObjectStore, planted: readonly string[]): Promise<void> {
  for (const key of planted) await objects.put(key, new Uint8Array(1));
}

/** A key of every kind that nothing refers to; `jobId` is a batch prediction that has ended, `dataset` one that exists. */
export function orphanKeys({ jobId, dataset, model }: { jobId: string; dataset: string; model: string }): string[] {
  const unknown = randomUUID();
  const [md5, sha256] = ['ab'.repeat(16), 'cd'.repeat(32)];
  return [
    keys.rawImageKey(md5),
    keys.rawImageKey(`${md5}.dir`),
    keys.splitManifestKey('train', dataset, 99),
    keys.splitManifestKey('validation', 'unknown', 1),
    keys.featureFileKey(sha256, sha256),
    keys.checkpointKey(unknown, 1, 1),
    `${keys.bundleKeyOf(model, sha256)}/manifest.json`,
    `${keys.bundleKeyOf(model, sha256)}/tfjs/model.json`,
    keys.runArtifactKey(unknown, 'curves.svg'),
    keys.searchArtifactKey(unknown, 'search.svg'),
    keys.predictionInputKey(model, new Date(), unknown),
    keys.batchResultKey(unknown, 'csv'),
    keys.batchResultKey(jobId, 'json'),
    keys.batchPartKey(jobId, 1, '1'),
    keys.uploadKey(unknown, 0),
    keys.importOrderKey(unknown),
  ];
}

/** Keys that Perennial never wrote. */
export const foreignKeys = ['backups/1.sql', 'incoming/a.png', 'raw/notes.txt', 'test/mine.png', 'models/m/readme.md'];

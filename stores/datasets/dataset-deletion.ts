import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { splits } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { writeAudit } from '../audit/audit.js';
import type { Database, Queryable } from '../postgres/database.js';
import { rawImageKey, splitManifestKey } from '../objects/object-keys.js';
import type { ObjectStore } from '../objects/object-store.js';

const versionRow = z.object({
  digest: z.string(),
  dvcMd5: z.string(),
  isCurrent: z.boolean(),
  /** Whether another version has the same DVC listing. */
  isListed: z.boolean(),
  users: z.array(z.string()),
});

/** Deletion of unreferenced dataset versions. */
export interface DatasetDeletion {
  /** Marks a version's manifests as unpublished, and returns their keys. Throws as `deleteDatasetVersion`. */
  unpublish(dataset: string, version: number): Promise<string[]>;
  /** Throws as `deleteDatasetVersion`. */
  remove(dataset: string, version: number, by: Actor): Promise<{ digest: string }>;
}

export function createDatasetDeletion(db: Database): DatasetDeletion {
  return {
    unpublish: (dataset, version) =>
      db.transaction(async (tx) => {
        const { dvcMd5, isListed } = await holdDeletable(tx, dataset, version);
        await tx.query('UPDATE dataset_versions SET published_at = NULL WHERE dataset = $1 AND version = $2', [
          dataset,
          version,
        ]);
        const manifests = splits.map((side) => splitManifestKey(side, dataset, version));
        return isListed ? manifests : [...manifests, rawImageKey(`${dvcMd5}.dir`)];
      }),
    remove: (dataset, version, by) =>
      db.transaction(async (tx) => {
        const { digest } = await holdDeletable(tx, dataset, version);
        await tx.query('DELETE FROM dataset_versions WHERE dataset = $1 AND version = $2', [dataset, version]);
        const subject = `datasets/${dataset}/versions/${version}`;
        await writeAudit(tx, { by, action: 'dataset_version.delete', subject, before: { digest } });
        return { digest };
      }),
  };
}

/**
 * Deletes a version: its manifests, then its row, so that an interrupted call can be repeated. The images stay.
 * Throws `not_found`, `conflict` for the current version, and `referenced` for one that was trained on.
 */
export async function deleteDatasetVersion(
  { deletion, objects }: { deletion: DatasetDeletion; objects: Pick<ObjectStore, 'deleteMany'> },
  dataset: string,
  version: number,
  by: Actor,
): Promise<{ digest: string }> {
  await objects.deleteMany(await deletion.unpublish(dataset, version));
  return deletion.remove(dataset, version, by);
}

/** Locks the version against new runs, whose foreign key needs a share lock on it. */
async function holdDeletable(tx: Queryable, dataset: string, version: number): Promise<z.output<typeof versionRow>> {
  await tx.query('SELECT FROM datasets WHERE name = $1 FOR UPDATE', [dataset]);
  await tx.query('SELECT FROM dataset_versions WHERE dataset = $1 AND version = $2 FOR UPDATE', [dataset, version]);
  const found = await tx.row(
    versionRow,
    `SELECT v.digest, v.dvc_md5, coalesce(d.current_version = v.version, false) AS is_current,
       EXISTS (SELECT FROM dataset_versions o WHERE o.dvc_md5 = v.dvc_md5 AND o.erased_at IS NULL
         AND (o.dataset, o.version) <> (v.dataset, v.version)) AS is_listed,
       ARRAY(SELECT format('version %s of %s', m.version, m.model_name) FROM model_versions m
         WHERE m.dataset = v.dataset AND m.dataset_version = v.version ORDER BY m.model_name, m.version)
       || ARRAY(SELECT format('run %s', r.run_id) FROM runs r
         WHERE r.dataset = v.dataset AND r.dataset_version = v.version ORDER BY r.started_at) AS users
     FROM dataset_versions v JOIN datasets d ON d.name = v.dataset
     WHERE v.dataset = $1 AND v.version = $2 AND v.erased_at IS NULL`,
    [dataset, version],
  );
  const name = `Version ${version} of dataset ${dataset}`;
  if (!found) throw new PerennialError('not_found', `${name} does not exist.`);
  if (found.isCurrent) {
    throw new PerennialError(
      'conflict',
      `${name} is the current one. Ingest other images (POST /api/v1/pipelines/ingestion), or erase the dataset (POST /api/v1/erasures).`,
    );
  }
  if (found.users.length > 0) {
    const [shown, more] = [found.users.slice(0, 10), Math.max(0, found.users.length - 10)];
    const users = `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
    throw new PerennialError(
      'referenced',
      `${name} was used by ${users}, so it stays for their lineage. Only an erasure of the dataset removes its images: POST /api/v1/erasures.`,
    );
  }
  return found;
}

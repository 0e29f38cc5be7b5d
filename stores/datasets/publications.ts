import { z } from 'zod';
import {
  datasetStatisticsSchema,
  imageFactsSchema,
  splitSchema,
  type Example,
  type ImageFacts,
} from '../../contracts/datasets/datasets.js';
import { claimObject } from '../objects/object-claims.js';
import { createAdvisoryLocks } from '../postgres/advisory-lock.js';
import { integerColumn, jsonParameter } from '../postgres/columns.js';
import type { Database } from '../postgres/database.js';

const publicationRow = z.object({ publication: z.number(), statistics: datasetStatisticsSchema });
type Publication = z.output<typeof publicationRow>;
type Published = Publication & { dataset: string; version: number; dvcMd5: string };

/** Which versions have their manifests and their DVC listing in the object store. */
export interface PublicationStore {
  /** The images of a version that are not erased, with their manifest fields. */
  listImages(dataset: string, version: number): Promise<(ImageFacts & Example)[]>;
  /** Versions made so long ago whose manifests are not in the object store as they should be. */
  unpublished(olderThanSeconds: number): Promise<{ dataset: string; version: number }[]>;
  /** What is to be published of a version; null if it is published, deleted or erased. */
  publication(dataset: string, version: number): Promise<Publication | null>;
  /** Lets one process publish a version at a time, so that the newest manifests are written last. */
  whilePublishing(dataset: string, version: number, work: () => Promise<void>): Promise<void>;
  /** Returns false if what the version holds changed after `publication` was read. */
  markPublished(published: Published): Promise<boolean>;
  /** Protects a listing from retention; call it before the upload. */
  claim(objectKey: string): Promise<void>;
}

export function createPublicationStore(db: Database): PublicationStore {
  const locks = createAdvisoryLocks(db);
  return {
    listImages: (dataset, version) =>
      db.rows(
        imageFactsSchema.extend({ sizeBytes: integerColumn, label: z.string(), side: splitSchema }),
        `SELECT i.*, e.label, e.side FROM dataset_examples e JOIN images i USING (sha256)
         WHERE e.dataset = $1 AND e.version = $2 AND i.erased_at IS NULL ORDER BY sha256`,
        [dataset, version],
      ),
    unpublished: (olderThanSeconds) =>
      db.rows(
        z.object({ dataset: z.string(), version: z.number() }),
        `SELECT dataset, version FROM dataset_versions WHERE published_at IS NULL AND erased_at IS NULL
           AND created_at <= now() - $1 * interval '1 second' ORDER BY dataset, version`,
        [olderThanSeconds],
      ),
    publication: (dataset, version) =>
      db.row(
        publicationRow,
        `SELECT publication, statistics FROM dataset_versions
         WHERE dataset = $1 AND version = $2 AND published_at IS NULL AND erased_at IS NULL`,
        [dataset, version],
      ),
    whilePublishing: (dataset, version, work) => locks.withLock(`publish ${dataset}/${version}`, work),
    claim: (objectKey) => claimObject(db, objectKey),
    async markPublished({ dataset, version, publication, dvcMd5, statistics }) {
      const marked = await db.query(
        `UPDATE dataset_versions SET published_at = now(), dvc_md5 = $4, statistics = $5
         WHERE dataset = $1 AND version = $2 AND publication = $3 AND erased_at IS NULL RETURNING version`,
        [dataset, version, publication, dvcMd5, jsonParameter(statistics)],
      );
      return marked.length > 0;
    },
  };
}

import { z } from 'zod';
import { correctionActions } from '../../contracts/datasets/corrections.js';
import { splitSchema } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { sourceKinds } from './datasets.js';

const holderRow = z.object({
  sourceId: integerColumn,
  kind: z.enum(sourceKinds),
  locator: z.string(),
  path: z.string(),
  /** The label by the source, whatever a correction says. */
  label: z.string(),
});
export type ImageHolder = z.output<typeof holderRow>;

const correctionRow = z.object({
  id: integerColumn,
  action: z.enum(correctionActions),
  label: z.string().nullable(),
  /** Null if none was given, or after an erasure; the actor likewise. */
  reason: z.string().nullable(),
  actor: z.string().nullable(),
  createdAt: timestampColumn,
});
export type Correction = z.output<typeof correctionRow>;

const memberRow = z.object({
  currentVersion: z.number().nullable(),
  /** Label in the current version; null if the image is not in it. */
  label: z.string().nullable(),
  side: splitSchema.nullable(),
  erasedAt: timestampColumn.nullable(),
});

/** An image as a member of a dataset. */
export interface DatasetImage extends z.output<typeof memberRow> {
  dataset: string;
  sha256: string;
  /** Files of attached sources that show this image. */
  holders: ImageHolder[];
  /** Newest first, at most a hundred. */
  corrections: Correction[];
}

/** Images of a dataset: where they are, and what was corrected. */
export interface DatasetImageStore {
  /** Throws `not_found` for an image that the dataset never had, or that was erased. */
  get(dataset: string, sha256: string): Promise<DatasetImage>;
}

export function createDatasetImageStore(db: Database): DatasetImageStore {
  return { get: (dataset, sha256) => readDatasetImage(db, dataset, sha256) };
}

/** As `DatasetImageStore.get`. */
export async function readDatasetImage(db: Queryable, dataset: string, sha256: string): Promise<DatasetImage> {
  const member = await db.row(
    memberRow,
    `SELECT d.current_version, e.label, s.side, i.erased_at FROM datasets d JOIN images i ON i.sha256 = $2
       LEFT JOIN image_sides s ON s.dataset = d.name AND s.sha256 = i.sha256
       LEFT JOIN dataset_examples e ON e.dataset = d.name AND e.version = d.current_version AND e.sha256 = i.sha256
     WHERE d.name = $1`,
    [dataset, sha256],
  );
  const holders = await db.rows(
    holderRow,
    `SELECT s.id AS source_id, s.kind, s.locator, f.path, f.label
     FROM ingestion_files f JOIN dataset_sources s ON s.current_ingestion_id = f.ingestion_id
     WHERE s.dataset = $1 AND f.sha256 IN (SELECT twin FROM same_pictures WHERE sha256 = $2) AND f.outcome = 'accepted' ORDER BY s.id, f.path`,
    [dataset, sha256],
  );
  const corrections = await db.rows(
    correctionRow,
    `SELECT * FROM image_corrections WHERE dataset = $1 AND sha256 IN (SELECT twin FROM same_pictures WHERE sha256 = $2)
     ORDER BY id DESC LIMIT 100`,
    [dataset, sha256],
  );
  if (member && member.erasedAt !== null) {
    throw new PerennialError('not_found', `The image ${sha256} was erased on request at ${member.erasedAt}.`);
  }
  if (member && (member.side !== null || holders.length + corrections.length > 0)) {
    return { ...member, dataset, sha256, holders, corrections };
  }
  throw new PerennialError(
    'not_found',
    `Dataset ${dataset} has no image ${sha256}. GET /api/v1/datasets/${dataset} lists its versions, and the manifests of a version its images.`,
  );
}

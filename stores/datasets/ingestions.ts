import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import {
  existingSplitSchema,
  quarantineReasonSchema,
  skippedSchema,
  type ExistingSplit,
  type ImageFacts,
  pixelVersion,
  type PixelIdentity,
  type QuarantineReason,
} from '../../contracts/datasets/datasets.js';
import { claimObjects, removalLock } from '../objects/object-claims.js';
import { integerColumn } from '../postgres/columns.js';
import { holdersOfMd5, imageStatusesOf, readLabels, type ImageStatus } from './ingestion-lookups.js';
import { addFiles, endScan, restartScan, type FoundFile, type ScanFindings } from './scan-rows.js';
import { sourceKinds, type SourceKind } from './datasets.js';
import type { Database, Queryable } from '../postgres/database.js';
import { rawImageKey } from '../objects/object-keys.js';

const ingestionRow = z.object({
  id: z.string(),
  dataset: z.string(),
  kind: z.enum(sourceKinds),
  locator: z.string(),
  isDefault: z.boolean(),
  note: z.string().nullable(),
  status: z.enum(['running', 'committed', 'abandoned']),
  /** What becomes of a split that the source has already; null if nobody said so. */
  split: existingSplitSchema.nullable(),
  skipped: skippedSchema,
});
/** One scan of one source. `locator` is a folder, an upload id, or a model name. */
export type Ingestion = z.output<typeof ingestionRow>;

/** An image to record; without pixels in tests, and where an earlier release ingested it. */
type NewImage = ImageFacts & Partial<PixelIdentity>;

export type FileOutcome =
  /** `uploadedBytes` is null if the image was stored already. */
  | { path: string; sha256: string; uploadedBytes: number | null }
  | { path: string; reason: QuarantineReason; detail: string };

const countsRow = z.object({
  pending: integerColumn,
  accepted: integerColumn,
  newImages: integerColumn,
  uploadedBytes: integerColumn,
  duplicates: integerColumn,
});
export type IngestionCounts = z.output<typeof countsRow> & {
  quarantined: Partial<Record<QuarantineReason, number>>;
};

/** The state of running ingestions. Every write is idempotent. */
export interface IngestionStore {
  /**
   * Begins an ingestion and returns the stored one: the source of the first call wins. Without a word on an existing
   * split, the word of the last ingestion of this source counts.
   */
  open(ingestion: {
    id: string;
    dataset: string;
    kind: SourceKind;
    locator: string;
    isDefault: boolean;
    note: string | null;
    /** Id of the source that this one takes the place of when the ingestion is committed. */
    replaces?: number | undefined;
    split?: ExistingSplit | null;
  }): Promise<Ingestion>;
  /** Throws `not_found`. */
  get(id: string): Promise<Ingestion>;
  /**
   * Begins or restarts the scan, dropping the files of earlier attempts, which can add none afterwards. `attempt` is
   * Temporal's attempt number. Throws `stale_attempt` after a later attempt or if the ingestion has ended.
   */
  restartScan(id: string, attempt: number): Promise<void>;
  /** Throws `stale_attempt` unless this attempt began the scan last. */
  addFiles(id: string, attempt: number, files: readonly FoundFile[]): Promise<void>;
  /** Records what the scan passed over and what a person should look at. Throws as `addFiles`. */
  endScan(id: string, attempt: number, seen: ScanFindings): Promise<void>;
  /** The labels of the current version of the dataset. */
  labelsOf(dataset: string): Promise<string[]>;
  /** Files without an outcome, by path. */
  takePending(id: string, limit: number): Promise<{ path: string; label: string }[]>;
  /** The status of images that are not new. */
  imageStatuses(sha256s: readonly string[]): Promise<Map<string, ImageStatus>>;
  /** SHA-256 of the recorded images with these MD5s (the names of their objects), by MD5. */
  holdersOfMd5(md5s: readonly string[]): Promise<Map<string, string>>;
  /** Protects the objects of images from retention until they are recorded; call it before the upload. */
  claim(objectKeys: readonly string[]): Promise<void>;
  /**
   * Records uploaded images and outcomes of files in one transaction. Throws `internal` when retention has removed the
   * bytes of a known image meanwhile, so that a retry stores them again.
   */
  settle(id: string, outcomes: readonly FileOutcome[], images: readonly NewImage[]): Promise<void>;
  counts(id: string): Promise<IngestionCounts>;
  /** Adds a sentence about the source to the note of the result; a repetition adds nothing. */
  addNote(id: string, note: string): Promise<void>;
  /** Abandons an ingestion and returns the upload it read, if any. The files that it refused stay listed until retention removes them. */
  abandon(id: string): Promise<string | null>;
}

export function createIngestionStore(db: Database): IngestionStore {
  const get = async (id: string): Promise<Ingestion> => {
    const found = await db.row(ingestionRow, 'SELECT * FROM ingestions WHERE id = $1', [id]);
    if (found) return found;
    throw new PerennialError('not_found', `There is no ingestion ${id}.`);
  };
  return {
    async open(ingestion) {
      await open(db, ingestion);
      return get(ingestion.id);
    },
    get,
    restartScan: (id, attempt) => db.transaction((tx) => restartScan(tx, id, attempt)),
    addFiles: (id, attempt, files) => db.transaction((tx) => addFiles(tx, id, attempt, files)),
    endScan: (id, attempt, seen) => db.transaction((tx) => endScan(tx, id, attempt, seen)),
    labelsOf: (dataset) => readLabels(db, dataset),
    takePending: (id, limit) =>
      db.rows(
        z.object({ path: z.string(), label: z.string() }),
        `SELECT path, label FROM ingestion_files WHERE ingestion_id = $1 AND outcome = 'pending' ORDER BY path LIMIT $2`,
        [id, limit],
      ),
    imageStatuses: (sha256s) => imageStatusesOf(db, sha256s),
    holdersOfMd5: (md5s) => holdersOfMd5(db, md5s),
    claim: (objectKeys) => claimObjects(db, objectKeys),
    settle: (id, outcomes, images) => db.transaction((tx) => settle(tx, id, outcomes, images)),
    counts: (id) => readCounts(db, id),
    addNote: (id, note) => addNote(db, id, note),
    abandon: (id) => abandon(db, id),
  };
}

async function abandon(db: Queryable, id: string): Promise<string | null> {
  await db.query(`UPDATE ingestions SET status = 'abandoned', ended_at = now() WHERE id = $1 AND status = 'running'`, [
    id,
  ]);
  await db.query(
    `DELETE FROM ingestion_files WHERE outcome <> 'quarantined'
         AND ingestion_id = (SELECT id FROM ingestions WHERE id = $1 AND status = 'abandoned')`,
    [id],
  );
  const upload = await db.row(
    z.object({ locator: z.string() }),
    `SELECT locator FROM ingestions WHERE id = $1 AND status = 'abandoned' AND kind = 'upload'`,
    [id],
  );
  return upload?.locator ?? null;
}

async function addNote(db: Queryable, id: string, note: string): Promise<void> {
  await db.query(
    `UPDATE ingestions SET note = CASE WHEN position($2 IN coalesce(note, '')) > 0 THEN note
       ELSE concat_ws(' ', note, $2::text) END WHERE id = $1`,
    [id, note],
  );
}

async function open(
  db: Database,
  { id, dataset, kind, locator, isDefault, note, replaces, split }: Parameters<IngestionStore['open']>[0],
): Promise<void> {
  await db.query('INSERT INTO datasets (name) VALUES ($1) ON CONFLICT DO NOTHING', [dataset]);
  await db.query(
    `INSERT INTO ingestions (id, dataset, kind, locator, is_default, note, replaces_source, split)
     VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, (
       SELECT former.split FROM dataset_sources s JOIN ingestions former ON former.id = s.current_ingestion_id
       WHERE (s.dataset, s.kind, s.locator) = ($2, $3, $4))))
     ON CONFLICT (id) DO NOTHING`,
    [id, dataset, kind, locator, isDefault, note, replaces ?? null, split ?? null],
  );
}

/** Ordered by digest, so that two ingestions of the same images cannot deadlock. */
async function settle(
  tx: Queryable,
  id: string,
  outcomes: readonly FileOutcome[],
  images: readonly NewImage[],
): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock_shared(hashtext($1))', [removalLock]);
  await addImages(tx, images);
  await setOutcomes(tx, id, outcomes);
  await refuseRemoved(tx, outcomes);
  await refuseErased(tx, images);
}

async function addImages(tx: Queryable, images: readonly NewImage[]): Promise<void> {
  const inOrder = [...images].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  await tx.query(
    `INSERT INTO images (sha256, md5, size_bytes, format, width, height, object_key, pixel_sha256, pixel_version,
       perceptual_hash)
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::integer[], $6::integer[], $7::text[],
       $8::text[], $9::integer[], $10::text[])
     ON CONFLICT (sha256) DO NOTHING`,
    [
      inOrder.map(({ sha256 }) => sha256),
      inOrder.map(({ md5 }) => md5),
      inOrder.map(({ sizeBytes }) => sizeBytes),
      inOrder.map(({ format }) => format),
      inOrder.map(({ width }) => width),
      inOrder.map(({ height }) => height),
      inOrder.map(({ md5 }) => rawImageKey(md5)),
      inOrder.map(({ pixelSha256 }) => pixelSha256 ?? null),
      inOrder.map((image) => image.pixelVersion ?? null),
      inOrder.map(({ perceptualHash }) => perceptualHash ?? null),
    ],
  );
  await tx.query('UPDATE images SET removed_at = NULL WHERE sha256 = ANY($1) AND removed_at IS NOT NULL', [
    inOrder.map(({ sha256 }) => sha256),
  ]);
}

async function setOutcomes(tx: Queryable, id: string, outcomes: readonly FileOutcome[]): Promise<void> {
  await tx.query(
    `UPDATE ingestion_files f SET outcome = CASE WHEN o.reason IS NULL THEN 'accepted' ELSE 'quarantined' END,
       sha256 = o.sha256, uploaded_bytes = o.uploaded_bytes, reason = o.reason, detail = o.detail
     FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[])
       AS o (path, sha256, uploaded_bytes, reason, detail)
     WHERE f.ingestion_id = $1 AND f.path = o.path AND f.outcome = 'pending'`,
    [
      id,
      outcomes.map(({ path }) => path),
      outcomes.map((outcome) => ('sha256' in outcome ? outcome.sha256 : null)),
      outcomes.map((outcome) => ('sha256' in outcome ? outcome.uploadedBytes : null)),
      outcomes.map((outcome) => ('reason' in outcome ? outcome.reason : null)),
      outcomes.map((outcome) => ('reason' in outcome ? outcome.detail : null)),
    ],
  );
}

/** After its look-up an image may lose its last dataset and its bytes. The lock of the removal makes that visible here. */
async function refuseRemoved(tx: Queryable, outcomes: readonly FileOutcome[]): Promise<void> {
  const removed = await tx.query('SELECT FROM images WHERE sha256 = ANY($1) AND removed_at IS NOT NULL LIMIT 1', [
    outcomes.flatMap((outcome) => ('sha256' in outcome ? [outcome.sha256] : [])),
  ]);
  if (removed.length === 0) return;
  throw new PerennialError('internal', 'Retention removed an image during its ingestion. It is read again.');
}

/** After its look-up the same image may be erased in another file. */
async function refuseErased(tx: Queryable, images: readonly NewImage[]): Promise<void> {
  const pixels = images.flatMap(({ pixelSha256 }) => pixelSha256 ?? []);
  const erased = await tx.query(
    'SELECT FROM images WHERE pixel_sha256 = ANY($1) AND pixel_version = $2 AND erased_at IS NOT NULL LIMIT 1',
    [pixels, pixelVersion],
  );
  if (erased.length === 0) return;
  throw new PerennialError('internal', 'An image was erased during its ingestion. It is read again.');
}

async function readCounts(db: Queryable, id: string): Promise<IngestionCounts> {
  const [counts] = await db.rows(
    countsRow,
    `SELECT count(*) FILTER (WHERE outcome = 'pending') AS pending,
       count(*) FILTER (WHERE outcome = 'accepted') AS accepted,
       count(uploaded_bytes) AS new_images,
       coalesce(sum(uploaded_bytes), 0) AS uploaded_bytes,
       count(*) FILTER (WHERE outcome = 'accepted')
         - count(DISTINCT (coalesce(CASE WHEN i.pixel_version = $2 THEN i.pixel_sha256 END, f.sha256), label))
           FILTER (WHERE outcome = 'accepted') AS duplicates
     FROM ingestion_files f LEFT JOIN images i USING (sha256) WHERE ingestion_id = $1`,
    [id, pixelVersion],
  );
  const quarantined = await db.rows(
    z.object({ reason: quarantineReasonSchema, files: integerColumn }),
    `SELECT reason, count(*) AS files FROM ingestion_files WHERE ingestion_id = $1 AND outcome = 'quarantined'
     GROUP BY reason ORDER BY reason`,
    [id],
  );
  const none = { pending: 0, accepted: 0, newImages: 0, uploadedBytes: 0, duplicates: 0 };
  return {
    ...(counts ?? none),
    quarantined: Object.fromEntries(quarantined.map(({ reason, files }) => [reason, files])),
  };
}

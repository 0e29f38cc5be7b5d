import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import {
  pixelVersion,
  quarantineReasonSchema,
  type ImageFacts,
  type PixelIdentity,
  type QuarantineReason,
} from '../../contracts/datasets/datasets.js';
import { claimObject, removalLock } from '../objects/object-claims.js';
import { integerColumn } from '../postgres/columns.js';
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
});
/** One scan of one source. `locator` is a folder, an upload id, or a model name. */
export type Ingestion = z.output<typeof ingestionRow>;

export interface FoundFile {
  /** Path relative to the source, or a name that is unique within it. */
  path: string;
  label: string | null;
  /** Why the file is refused without reading it. */
  refusal?: { reason: QuarantineReason; detail: string };
}

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
  /** Begins an ingestion and returns the stored one: the source of the first call wins. */
  open(ingestion: {
    id: string;
    dataset: string;
    kind: SourceKind;
    locator: string;
    isDefault: boolean;
    note: string | null;
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
  /** Files without an outcome, by path. */
  takePending(id: string, limit: number): Promise<{ path: string; label: string }[]>;
  /** `known`: the image is stored and its facts are recorded. `erased`: it must not be stored again. */
  imageStatus(sha256: string): Promise<'new' | 'known' | 'erased'>;
  /** SHA-256 of the recorded image with this MD5 (the name of its object); null if there is none. */
  holderOfMd5(md5: string): Promise<string | null>;
  /** Protects the object of an image from retention until it is recorded; call it before the upload. */
  claim(objectKey: string): Promise<void>;
  /**
   * Records uploaded images and outcomes of files in one transaction. Throws `internal` when retention has removed the
   * bytes of a known image meanwhile, so that a retry stores them again.
   */
  settle(id: string, outcomes: readonly FileOutcome[], images: readonly NewImage[]): Promise<void>;
  counts(id: string): Promise<IngestionCounts>;
  /** Abandons an ingestion. */
  abandon(id: string): Promise<void>;
}

export function createIngestionStore(db: Database): IngestionStore {
  const get = async (id: string): Promise<Ingestion> => {
    const found = await db.row(ingestionRow, 'SELECT * FROM ingestions WHERE id = $1', [id]);
    if (found) return found;
    throw new PerennialError('not_found', `There is no ingestion ${id}.`);
  };
  return {
    async open({ id, dataset, kind, locator, isDefault, note }) {
      await db.query('INSERT INTO datasets (name) VALUES ($1) ON CONFLICT DO NOTHING', [dataset]);
      await db.query(
        `INSERT INTO ingestions (id, dataset, kind, locator, is_default, note) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO NOTHING`,
        [id, dataset, kind, locator, isDefault, note],
      );
      return get(id);
    },
    get,
    restartScan: (id, attempt) => db.transaction((tx) => restartScan(tx, id, attempt)),
    addFiles: (id, attempt, files) => db.transaction((tx) => addFiles(tx, id, attempt, files)),
    takePending: (id, limit) =>
      db.rows(
        z.object({ path: z.string(), label: z.string() }),
        `SELECT path, label FROM ingestion_files WHERE ingestion_id = $1 AND outcome = 'pending' ORDER BY path LIMIT $2`,
        [id, limit],
      ),
    imageStatus: (sha256) => imageStatusOf(db, sha256),
    async holderOfMd5(md5) {
      const holder = await db.row(z.object({ sha256: z.string() }), 'SELECT sha256 FROM images WHERE md5 = $1', [md5]);
      return holder?.sha256 ?? null;
    },
    claim: (objectKey) => claimObject(db, objectKey),
    settle: (id, outcomes, images) => db.transaction((tx) => settle(tx, id, outcomes, images)),
    counts: (id) => readCounts(db, id),
    async abandon(id) {
      await db.query(
        `UPDATE ingestions SET status = 'abandoned', ended_at = now() WHERE id = $1 AND status = 'running'`,
        [id],
      );
      await db.query(
        `DELETE FROM ingestion_files WHERE ingestion_id = (SELECT id FROM ingestions WHERE id = $1 AND status = 'abandoned')`,
        [id],
      );
    },
  };
}

async function imageStatusOf(db: Queryable, sha256: string): Promise<'new' | 'known' | 'erased'> {
  const image = await db.row(
    z.object({ isErased: z.boolean() }),
    `SELECT erased_at IS NOT NULL AS is_erased FROM images
     WHERE sha256 = $1 AND (removed_at IS NULL OR erased_at IS NOT NULL)`,
    [sha256],
  );
  if (!image) return 'new';
  return image.isErased ? 'erased' : 'known';
}

async function restartScan(tx: Queryable, id: string, attempt: number): Promise<void> {
  const begun = await tx.query(
    `UPDATE ingestions SET scan_attempt = $2, scan = nextval('ingestion_scans')
     WHERE id = $1 AND scan_attempt <= $2 AND status = 'running' RETURNING id`,
    [id, attempt],
  );
  if (begun.length === 0) throw staleScan(id, attempt);
  await tx.query('DELETE FROM ingestion_files WHERE ingestion_id = $1', [id]);
}

async function addFiles(tx: Queryable, id: string, attempt: number, files: readonly FoundFile[]): Promise<void> {
  const held = await tx.query(
    `SELECT FROM ingestions WHERE id = $1 AND scan_attempt = $2 AND status = 'running' FOR UPDATE`,
    [id, attempt],
  );
  if (held.length === 0) throw staleScan(id, attempt);
  await tx.query(
    `INSERT INTO ingestion_files (ingestion_id, path, label, outcome, reason, detail)
     SELECT $1, path, label, CASE WHEN reason IS NULL THEN 'pending' ELSE 'quarantined' END, reason, detail
     FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS file (path, label, reason, detail)
     ON CONFLICT (ingestion_id, path) DO NOTHING`,
    [
      id,
      files.map(({ path }) => path),
      files.map(({ label }) => label),
      files.map(({ refusal }) => refusal?.reason ?? null),
      files.map(({ refusal }) => refusal?.detail ?? null),
    ],
  );
}

function staleScan(id: string, attempt: number): PerennialError {
  return new PerennialError(
    'stale_attempt',
    `Attempt ${attempt} was superseded: a later attempt scans for ingestion ${id}, or the ingestion has ended. Nothing needs to be done.`,
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

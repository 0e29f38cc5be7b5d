import type { QuarantineReason, Skipped, Split } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { jsonParameter } from '../postgres/columns.js';
import type { Queryable } from '../postgres/database.js';

export interface FoundFile {
  /** Path relative to the source, or a name that is unique within it. */
  path: string;
  label: string | null;
  /** The splits that its image may get, if the source has a split; any without. */
  splits?: readonly Split[];
  /** Why the file is refused without reading it. */
  refusal?: { reason: QuarantineReason; detail: string };
}

/** What a scan found besides files. */
export interface ScanFindings {
  skipped: Skipped;
  warnings: string[];
}

export async function restartScan(tx: Queryable, id: string, attempt: number): Promise<void> {
  const begun = await tx.query(
    `UPDATE ingestions SET scan_attempt = $2, scan = nextval('ingestion_scans')
     WHERE id = $1 AND scan_attempt <= $2 AND status = 'running' RETURNING id`,
    [id, attempt],
  );
  if (begun.length === 0) throw staleScan(id, attempt);
  await tx.query('DELETE FROM ingestion_files WHERE ingestion_id = $1', [id]);
}

export async function addFiles(tx: Queryable, id: string, attempt: number, files: readonly FoundFile[]): Promise<void> {
  await holdScan(tx, id, attempt);
  await tx.query(
    `INSERT INTO ingestion_files (ingestion_id, path, label, outcome, reason, detail, splits)
     SELECT $1, path, label, CASE WHEN reason IS NULL THEN 'pending' ELSE 'quarantined' END, reason, detail,
       string_to_array(splits, ' ')
     FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) AS file (path, label, reason, detail, splits)
     ON CONFLICT (ingestion_id, path) DO NOTHING`,
    [
      id,
      files.map(({ path }) => path),
      files.map(({ label }) => label),
      files.map(({ refusal }) => refusal?.reason ?? null),
      files.map(({ refusal }) => refusal?.detail ?? null),
      files.map(({ splits }) => splits?.join(' ') ?? null),
    ],
  );
}

export async function endScan(tx: Queryable, id: string, attempt: number, seen: ScanFindings): Promise<void> {
  await holdScan(tx, id, attempt);
  await tx.query('UPDATE ingestions SET skipped = $2, warnings = $3 WHERE id = $1', [
    id,
    jsonParameter(seen.skipped),
    jsonParameter(seen.warnings),
  ]);
}

async function holdScan(tx: Queryable, id: string, attempt: number): Promise<void> {
  const held = await tx.query(
    `SELECT FROM ingestions WHERE id = $1 AND scan_attempt = $2 AND status = 'running' FOR UPDATE`,
    [id, attempt],
  );
  if (held.length === 0) throw staleScan(id, attempt);
}

function staleScan(id: string, attempt: number): PerennialError {
  return new PerennialError(
    'stale_attempt',
    `Attempt ${attempt} was superseded: a later attempt scans for ingestion ${id}, or the ingestion has ended. Nothing needs to be done.`,
  );
}

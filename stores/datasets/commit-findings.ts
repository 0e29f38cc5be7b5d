import { z } from 'zod';
import { labelCounts } from '../../contracts/datasets/by-label.js';
import { skippedKinds, skippedSchema, type Skipped } from '../../contracts/datasets/datasets.js';
import { integerColumn } from '../postgres/columns.js';
import type { Queryable } from '../postgres/database.js';

/** Files of an ingestion whose images are in conflict, and how many of these images it stored first. */
export const conflictingSchema = z.object({ byLabel: labelCounts(), newImages: z.number() });
type Conflicting = z.output<typeof conflictingSchema>;
export const noConflicts: Conflicting = { byLabel: {}, newImages: 0 };

interface PlannedConflicts {
  conflicts: readonly { sha256s: string[] }[];
}

/** What the scans of all sources passed over, and what they found worth a look. */
export async function readFindings(tx: Queryable, dataset: string): Promise<{ skipped: Skipped; warnings: string[] }> {
  const scans = await tx.rows(
    z.object({ skipped: skippedSchema, warnings: z.array(z.string()) }),
    `SELECT i.skipped, i.warnings FROM dataset_sources s JOIN ingestions i ON i.id = s.current_ingestion_id
     WHERE s.dataset = $1 ORDER BY s.id`,
    [dataset],
  );
  const skipped: Skipped = {};
  for (const kind of skippedKinds) {
    const files = scans.reduce((sum, scan) => sum + (scan.skipped[kind] ?? 0), 0);
    if (files > 0) skipped[kind] = files;
  }
  return { skipped, warnings: scans.flatMap(({ warnings }) => warnings) };
}

export async function readConflicting(
  tx: Queryable,
  ingestionId: string | null,
  { conflicts }: PlannedConflicts,
): Promise<Conflicting> {
  const rows = await tx.rows(
    z.object({ label: z.string(), files: integerColumn, newImages: integerColumn }),
    `SELECT label, count(*) AS files, count(uploaded_bytes) AS new_images FROM ingestion_files
     WHERE ingestion_id = $1 AND outcome = 'accepted' AND sha256 = ANY($2) GROUP BY label ORDER BY label`,
    [ingestionId, conflicts.flatMap(({ sha256s }) => sha256s)],
  );
  return {
    byLabel: Object.fromEntries(rows.map(({ label, files }) => [label, files])),
    newImages: rows.reduce((sum, row) => sum + row.newImages, 0),
  };
}

/** Keeps the conflicts of the present content, also when it is that of an earlier version. */
export async function replaceConflicts(tx: Queryable, dataset: string, { conflicts }: PlannedConflicts): Promise<void> {
  await tx.query('DELETE FROM open_conflicts WHERE dataset = $1', [dataset]);
  await tx.query(
    `INSERT INTO open_conflicts (dataset, sha256, labels, paths)
     SELECT $1, sha256, labels, paths
     FROM jsonb_to_recordset($2::jsonb) AS conflict (sha256 text, labels jsonb, paths jsonb)`,
    [dataset, JSON.stringify(conflicts)],
  );
}

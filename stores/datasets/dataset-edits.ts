import { noConflicts } from './commit-findings.js';
import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import type { ImageChange } from '../../contracts/datasets/corrections.js';
import { datasetStatisticsSchema } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { writeAudit } from '../audit/audit.js';
import { integerColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { holdDataset, makeVersion, type CommitPlan, type Committed, type CommitState } from './dataset-commits.js';
import { readDatasetImage, type DatasetImage } from './dataset-images.js';
import { unknownSource } from './sources.js';

/** The current version after a call. */
export interface Edited extends Committed {
  /** False if the call had been carried out before. */
  changed: boolean;
}

export interface Correcting {
  dataset: string;
  sha256: string;
  change: ImageChange;
  reason: string | null;
  by: Actor;
  /** Throws if the image is not as the client knows it. */
  check(image: DatasetImage): void;
}

export interface Detaching {
  dataset: string;
  sourceId: number;
  reason: string | null;
  by: Actor;
}

type Plan = (state: CommitState) => CommitPlan;

/** Changes of a dataset by people. Each makes its version in one transaction, and changes nothing when repeated. */
export interface DatasetEdits {
  /**
   * Relabels an image in a dataset, takes it out, or withdraws earlier corrections. Its split stays. Throws `not_found`
   * for an image that no source holds.
   */
  correct(correcting: Correcting, plan: Plan): Promise<Edited>;
  /**
   * Detaches a source: its images leave the dataset unless another source holds them. Throws `not_found`, and `conflict`
   * while an ingestion of the dataset is in progress.
   */
  detach(detaching: Detaching, plan: Plan): Promise<Edited>;
}

export function createDatasetEdits(db: Database): DatasetEdits {
  return {
    correct: (correcting, plan) => db.transaction((tx) => correct(tx, correcting, plan)),
    detach: (detaching, plan) => db.transaction((tx) => detach(tx, detaching, plan)),
  };
}

async function correct(tx: Queryable, correcting: Correcting, plan: Plan): Promise<Edited> {
  const { dataset, sha256, change, reason, by } = correcting;
  const former = await holdDataset(tx, dataset);
  const image = await readDatasetImage(tx, dataset, sha256);
  correcting.check(image);
  const label = change.action === 'relabel' ? change.label : null;
  const [last] = image.corrections;
  const isRepeated = (last?.action ?? 'restore') === change.action && (last?.label ?? null) === label;
  if (isRepeated) return unchanged(tx, dataset);
  requireHolder(image);
  await tx.query(
    'INSERT INTO image_corrections (dataset, sha256, action, label, reason, actor) VALUES ($1, $2, $3, $4, $5, $6)',
    [dataset, sha256, change.action, label, reason, by.name],
  );
  const made = await makeVersion(tx, { dataset, ingestionId: null }, plan);
  const after = await readDatasetImage(tx, dataset, sha256);
  await writeAudit(tx, {
    by,
    action: `image.${change.action}`,
    subject: `datasets/${dataset}/images/${sha256}`,
    before: { version: former, label: image.label, correction: last?.action ?? null },
    after: { version: made.version, label: after.label, correction: change.action, reason },
  });
  return { ...made, changed: true };
}

function requireHolder({ dataset, sha256, holders }: DatasetImage): void {
  if (holders.length > 0) return;
  throw new PerennialError(
    'not_found',
    `No source of dataset ${dataset} holds the image ${sha256} now. Upload it, or ingest a folder with it, first.`,
  );
}

async function detach(tx: Queryable, { dataset, sourceId, reason, by }: Detaching, plan: Plan): Promise<Edited> {
  const former = await holdDataset(tx, dataset);
  const source = await tx.row(
    z.object({ kind: z.string(), locator: z.string(), isAttached: z.boolean() }),
    `SELECT kind, locator, current_ingestion_id IS NOT NULL AS is_attached FROM dataset_sources
     WHERE dataset = $1 AND id = $2`,
    [dataset, sourceId],
  );
  if (!source) throw unknownSource(dataset, sourceId);
  if (!source.isAttached) return unchanged(tx, dataset);
  await refuseWhileIngesting(tx, dataset);
  await tx.query('UPDATE dataset_sources SET current_ingestion_id = NULL, detached_at = now() WHERE id = $1', [
    sourceId,
  ]);
  const made = await makeVersion(tx, { dataset, ingestionId: null }, plan);
  const { kind, locator } = source;
  await writeAudit(tx, {
    by,
    action: 'source.detach',
    subject: `datasets/${dataset}/sources/${sourceId}`,
    before: { version: former, kind, locator },
    after: { version: made.version, reason },
  });
  return { ...made, changed: true };
}

/** An ingestion, also one that has yet to begin, may attach the source again. */
async function refuseWhileIngesting(tx: Queryable, dataset: string): Promise<void> {
  const busy = await tx.row(
    z.object({ runId: z.string() }),
    `SELECT id AS run_id FROM ingestions WHERE dataset = $1 AND status = 'running'
     UNION ALL SELECT run_id FROM pipelines WHERE dataset = $1 AND status = 'running' AND (
       workflow = 'ingestDataset' OR EXISTS (
         SELECT FROM pipeline_steps step WHERE step.run_id = pipelines.run_id
           AND step.name = 'prepare_training_data' AND step.status IN ('pending', 'running')))
     LIMIT 1`,
    [dataset],
  );
  if (!busy) return;
  throw new PerennialError(
    'conflict',
    `Run ${busy.runId} ingests images into dataset ${dataset}. Wait until it has ended, or cancel it with POST /api/v1/pipelines/${busy.runId}/cancel, and detach the source again.`,
  );
}

async function unchanged(tx: Queryable, dataset: string): Promise<Edited> {
  const current = await tx.row(
    z.object({ version: integerColumn, digest: z.string(), statistics: datasetStatisticsSchema }),
    `SELECT v.version, v.digest, v.statistics FROM datasets d
       JOIN dataset_versions v ON v.dataset = d.name AND v.version = d.current_version WHERE d.name = $1`,
    [dataset],
  );
  if (current) return { ...current, conflicting: noConflicts, isNewVersion: false, changed: false };
  throw new PerennialError('not_found', `Dataset ${dataset} has no version. Ingest images to create one.`);
}

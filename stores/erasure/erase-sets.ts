import { z } from 'zod';
import { splits } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { integerColumn } from '../postgres/columns.js';
import type { Queryable } from '../postgres/database.js';
import { eraseBatchesOfDataset, eraseBatchesOfModel } from './erase-batches.js';
import { clearFeedback, clearPredictionsOf, dropFeatureFiles, dropInputs, type Erased } from './erase-items.js';
import {
  checkpointPrefix,
  predictionInputPrefix,
  rawImageKey,
  runArtifactKey,
  splitManifestKey,
  uploadPrefix,
} from '../objects/object-keys.js';

/** What uses a subject; a waiting approval with the run that asked for it. */
const busyRow = z.object({ name: z.string(), approvalOf: z.string().nullable() });
const cancellation =
  'Wait, or cancel it: POST /api/v1/pipelines/{run_id}/cancel, with the run from GET /api/v1/pipelines.';
const rejection = (runId: string): string => `Answer the approval: POST /api/v1/pipelines/${runId}/reject.`;
const servedRow = z.object({ name: z.string(), modelName: z.string() });
const versionRow = z.object({ version: z.number(), dvcMd5: z.string(), isShared: z.boolean() });
const imageRow = z.object({ sha256: z.string(), objectKey: z.string() });

/**
 * Erases a dataset: its versions keep number and digest only; images in no other dataset are erased. Null if already
 * erased. Throws `referenced` if a model in Production was trained on it, and `conflict` while a run uses it.
 */
export async function eraseDataset(tx: Queryable, dataset: string): Promise<Erased | null> {
  await tx.query('SELECT FROM datasets WHERE name = $1 FOR UPDATE', [dataset]);
  const versions = await tx.rows(
    versionRow,
    `SELECT version, dvc_md5, EXISTS (SELECT FROM dataset_versions o
       WHERE o.dvc_md5 = v.dvc_md5 AND o.dataset <> v.dataset AND o.erased_at IS NULL) AS is_shared
     FROM dataset_versions v WHERE dataset = $1 AND erased_at IS NULL ORDER BY version`,
    [dataset],
  );
  const uploads = await tx.rows(z.object({ id: z.string() }), 'SELECT id FROM uploads WHERE dataset = $1', [dataset]);
  if (versions.length === 0 && uploads.length === 0) return null;
  await refuseWhileUsed(tx, dataset);
  const images = await ownImages(tx, dataset);
  const sha256s = images.map(({ sha256 }) => sha256);
  const features = await dropFeatureFiles(tx, sha256s);
  const batches = await eraseBatchesOfDataset(tx, dataset);
  const predictions = await clearPredictionsOf(tx, sha256s);
  await forgetMembers(tx, dataset, images);
  return {
    counts: {
      versions: versions.length,
      images: images.length,
      ...features.counts,
      ...predictions.counts,
      ...batchCounts([batches, predictions]),
    },
    objects: [
      ...batches.objects,
      ...images.map(({ objectKey }) => objectKey),
      ...features.objects,
      ...predictions.objects,
      ...versions.flatMap(({ version }) => splits.map((side) => splitManifestKey(side, dataset, version))),
      ...versions.flatMap(({ dvcMd5, isShared }) => (isShared ? [] : [rawImageKey(`${dvcMd5}.dir`)])),
      ...uploads.map(({ id }) => uploadPrefix(id)),
    ],
  };
}

function batchCounts(batches: readonly Erased[]): Erased['counts'] {
  const total = batches.reduce((sum, { counts }) => sum + (counts['batch_predictions'] ?? 0), 0);
  return total === 0 ? {} : { batch_predictions: total };
}

async function refuseWhileUsed(tx: Queryable, dataset: string): Promise<void> {
  const models = await tx.rows(
    servedRow,
    `SELECT model_name || ' version ' || version AS name, model_name FROM model_versions
     WHERE dataset = $1 AND stage = 'Production'`,
    [dataset],
  );
  refuseIfServed(`Dataset ${dataset}`, models, 'Promote a version that was trained on other images, or');
  await refuseIfBusy(
    tx,
    `Dataset ${dataset}`,
    `SELECT 'run ' || run_id AS name, NULL AS approval_of FROM runs WHERE dataset = $1 AND status = 'running'
     UNION ALL SELECT 'ingestion ' || id, NULL FROM ingestions WHERE dataset = $1 AND status = 'running'`,
    dataset,
  );
}

/** `start` is the start of the sentence that ends with the retirement of the models. */
function refuseIfServed(what: string, models: readonly z.output<typeof servedRow>[], start: string): void {
  if (models.length === 0) return;
  const names = models.map(({ name }) => name).join(', ');
  const ways = [...new Set(models.map(({ modelName }) => `POST /api/v1/mlops/models/${modelName}/retire`))];
  throw new PerennialError(
    'referenced',
    `${what} cannot be erased while ${names} is in Production. ${start} retire the model: ${ways.join(', ')}.`,
  );
}

async function refuseIfBusy(tx: Queryable, what: string, sql: string, parameter: string): Promise<void> {
  const busy = await tx.rows(busyRow, sql, [parameter]);
  if (busy.length === 0) return;
  const names = busy.map(({ name }) => name).join(', ');
  const answers = busy.flatMap(({ approvalOf }) => approvalOf ?? []).map(rejection);
  const running = busy.some(({ approvalOf }) => approvalOf === null) ? [cancellation] : [];
  const ways = [...answers, ...running].join(' ');
  throw new PerennialError('conflict', `${what} is being used by ${names}. ${ways} Then try again.`);
}

/** Images that are and were in no other dataset. A separately erased one keeps its row, to be refused. */
function ownImages(tx: Queryable, dataset: string): Promise<z.output<typeof imageRow>[]> {
  return tx.rows(
    imageRow,
    `WITH uses AS (
       SELECT dataset, sha256 FROM dataset_examples UNION SELECT dataset, sha256 FROM dataset_conflicts
       UNION SELECT dataset, sha256 FROM image_sides
       UNION SELECT i.dataset, f.sha256 FROM ingestion_files f JOIN ingestions i ON i.id = f.ingestion_id
       WHERE f.sha256 IS NOT NULL)
     SELECT i.sha256, i.object_key FROM images i
     WHERE i.erased_at IS NULL AND EXISTS (SELECT FROM uses u WHERE u.sha256 = i.sha256 AND u.dataset = $1)
       AND NOT EXISTS (SELECT FROM uses u WHERE u.sha256 = i.sha256 AND u.dataset <> $1)
     ORDER BY i.sha256`,
    [dataset],
  );
}

async function forgetMembers(
  tx: Queryable,
  dataset: string,
  images: readonly z.output<typeof imageRow>[],
): Promise<void> {
  for (const table of [
    'dataset_examples',
    'dataset_conflicts',
    'open_conflicts',
    'dataset_quarantine',
    'image_corrections',
    'image_sides',
  ]) {
    await tx.query(`DELETE FROM ${table} WHERE dataset = $1`, [dataset]);
  }
  await tx.query('DELETE FROM dataset_sources WHERE dataset = $1', [dataset]);
  await tx.query('DELETE FROM ingestion_files WHERE ingestion_id IN (SELECT id FROM ingestions WHERE dataset = $1)', [
    dataset,
  ]);
  await tx.query(
    `UPDATE ingestions SET locator = 'erased', note = NULL, warnings = '[]', result = NULL, status = 'abandoned' WHERE dataset = $1`,
    [dataset],
  );
  await tx.query('DELETE FROM uploads WHERE dataset = $1', [dataset]);
  await tx.query('DELETE FROM images WHERE sha256 = ANY($1)', [images.map(({ sha256 }) => sha256)]);
  await tx.query(
    `UPDATE dataset_versions SET erased_at = now(), sources = '[]' WHERE dataset = $1 AND erased_at IS NULL`,
    [dataset],
  );
  await tx.query('UPDATE datasets SET current_version = NULL WHERE name = $1', [dataset]);
}

/**
 * Erases a model: deletes bundles, artefacts and checkpoints, makes its versions tombstones, clears its predictions.
 * Parameters and metrics of runs stay. Null if already erased. Throws `referenced` while it is in Production, and
 * `conflict` while a run uses it.
 */
export async function eraseModel(tx: Queryable, modelName: string): Promise<Erased | null> {
  await tx.query('SELECT FROM models WHERE name = $1 FOR UPDATE', [modelName]);
  const served = await tx.rows(
    servedRow,
    `SELECT 'version ' || version AS name, model_name FROM model_versions
     WHERE model_name = $1 AND stage = 'Production'`,
    [modelName],
  );
  refuseIfServed(`Model ${modelName}`, served, 'First');
  await refuseIfBusy(
    tx,
    `Model ${modelName}`,
    `SELECT 'run ' || run_id AS name, NULL AS approval_of FROM runs WHERE model_name = $1 AND status = 'running'
     UNION ALL SELECT 'an approval of version ' || version, pipeline_run_id FROM approvals
     WHERE model_name = $1 AND outcome = 'waiting'`,
    modelName,
  );
  const versions = await eraseVersions(tx, modelName);
  const bundles = [...new Set(versions.flatMap(({ bundleKey }) => bundleKey ?? []))];
  const runs = await tx.rows(z.object({ runId: z.string() }), 'SELECT run_id FROM runs WHERE model_name = $1', [
    modelName,
  ]);
  const files = await forgetFiles(tx, modelName);
  const predictions = await clearPredictions(tx, modelName);
  const batches = await eraseBatchesOfModel(tx, modelName);
  const feedback = await clearFeedback(tx, 'model_name = $1', [modelName]);
  const inputs = await dropInputs(tx, 'model_name = $1', [modelName]);
  const objects = [...batches.objects, ...inputs.objects];
  if (versions.length + files + predictions + feedback + objects.length === 0) return null;
  const counts = { versions: versions.length, runs: runs.length, files, predictions, feedback };
  return {
    counts: { ...counts, ...batches.counts, ...inputs.counts },
    objects: [
      ...batches.objects,
      ...bundles.map((bundleKey) => `${bundleKey}/`),
      ...runs.flatMap(({ runId }) => [runArtifactKey(runId, ''), checkpointPrefix(runId)]),
      predictionInputPrefix(modelName),
    ],
  };
}

async function eraseVersions(tx: Queryable, modelName: string): Promise<{ bundleKey: string | null }[]> {
  await tx.query('DELETE FROM model_aliases WHERE model_name = $1', [modelName]);
  return tx.rows(
    z.object({ bundleKey: z.string().nullable() }),
    `UPDATE model_versions SET erased_at = now(), stage = 'Archived', description = '', tags = '{}',
       reported_metrics = CASE WHEN reported_metrics IS NOT NULL THEN '{}'::jsonb END,
       deleted_at = coalesce(deleted_at, now()), deleted_by = coalesce(deleted_by, 'erasure'),
       bundle_removed_at = coalesce(bundle_removed_at, now())
     WHERE model_name = $1 AND erased_at IS NULL RETURNING bundle_key`,
    [modelName],
  );
}

async function forgetFiles(tx: Queryable, modelName: string): Promise<number> {
  const ofModel = 'run_id IN (SELECT run_id FROM runs WHERE model_name = $1)';
  const artifacts = await tx.query(`DELETE FROM artifacts WHERE ${ofModel} RETURNING run_id`, [modelName]);
  const checkpoints = await tx.query(`DELETE FROM checkpoints WHERE ${ofModel} RETURNING run_id`, [modelName]);
  return artifacts.length + checkpoints.length;
}

async function clearPredictions(tx: Queryable, modelName: string): Promise<number> {
  const cleared = await tx.row(
    z.object({ predictions: integerColumn }),
    `WITH cleared AS (
       UPDATE predictions SET image_sha256 = NULL, probabilities = NULL, erased_at = now()
       WHERE model_name = $1 AND erased_at IS NULL RETURNING id)
     SELECT count(*) AS predictions FROM cleared`,
    [modelName],
  );
  return cleared?.predictions ?? 0;
}

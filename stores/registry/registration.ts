import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { writeAudit } from '../audit/audit.js';
import { jsonParameter } from '../postgres/columns.js';
import type { Queryable } from '../postgres/database.js';
import { lockModel } from '../promotion/production.js';
import { fileColumns, fileParameters, type NewVersion } from './new-version.js';
import { addFile } from './reported-versions.js';
import { subjectOf, versionOfRun, versionRow } from './rows.js';
import { numberOf } from './semantic-versions.js';

/** Within a transaction: see `RegistryStore.register`. */
export async function register(tx: Queryable, model: NewVersion, by?: Actor): Promise<ModelVersion> {
  await tx.query('INSERT INTO models (name) VALUES ($1) ON CONFLICT DO NOTHING', [model.modelName]);
  await lockModel(tx, model.modelName);
  const known = await versionOfRun(tx, model.runId);
  if (known) return known;
  const actor = by ?? (await trainerOf(tx, model));
  const registered = model.fills === undefined ? await insert(tx, model) : await addFile(tx, model, model.fills, actor);
  if (!registered) throw new PerennialError('internal', `Run ${model.runId} could not be registered.`);
  await writeAudit(tx, {
    by: actor,
    action: 'version.register',
    subject: subjectOf(model.modelName, registered.version),
    after: descriptionOf(registered),
  });
  return registered;
}

function descriptionOf(version: ModelVersion): unknown {
  return {
    run_id: version.runId,
    semantic_version: version.semanticVersion,
    stage: version.stage,
    architecture: version.architecture,
    dataset: version.dataset,
    dataset_version: version.datasetVersion,
    origin: version.origin,
    bundle_sha256: version.bundleSha256,
  };
}

/** The default actor is the training that made the version. */
async function trainerOf(tx: Queryable, { runId }: NewVersion): Promise<Actor> {
  const run = await tx.row(z.object({ workflowId: z.string() }), 'SELECT workflow_id FROM runs WHERE run_id = $1', [
    runId,
  ]);
  return { name: 'trainModel', via: 'workflow', from: run?.workflowId ?? runId, requestId: null };
}

async function insert(tx: Queryable, model: NewVersion): Promise<ModelVersion | null> {
  const semanticVersion = await numberOf(tx, model.modelName, model.semanticVersion, model);
  return tx.row(
    versionRow,
    `WITH next AS (UPDATE models SET latest_version = latest_version + 1 WHERE name = $1 RETURNING latest_version)
     INSERT INTO model_versions (model_name, ${fileColumns}, version, stage, semantic_version, origin, description, tags,
       verified_at)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, latest_version, 'Staging', $12, $13, $14, $15, now()
     FROM next RETURNING *`,
    [
      model.modelName,
      ...fileParameters(model),
      semanticVersion,
      model.origin ?? 'trained',
      model.description ?? '',
      jsonParameter(model.tags ?? {}),
    ],
  );
}

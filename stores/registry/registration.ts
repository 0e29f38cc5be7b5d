import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import type { Lineage, ModelVersion } from '../../contracts/registry/registry.js';
import { writeAudit } from '../audit/audit.js';
import { jsonParameter } from '../postgres/columns.js';
import type { Queryable } from '../postgres/database.js';
import { lockModel } from '../promotion/production.js';
import { subjectOf, versionOfRun, versionRow } from './rows.js';

/** Assigns a semantic version from the previous ones; see `domain/registry/semantic-version.ts`. */
export type Numbering = (
  next: Lineage,
  before: { latest: Lineage; network: Lineage['architecture'] | null; greatest: string } | null,
) => string;

type Given = Pick<ModelVersion, 'origin' | 'description' | 'tags'>;
type Assigned =
  | 'version'
  | 'stage'
  | 'createdAt'
  | 'decision'
  | 'lastValidation'
  | 'lastValidatedAt'
  | 'semanticVersion'
  | 'verifiedAt'
  | 'revision';

/** Fields of a new version. Packaging and import have verified its bundle. */
export type NewVersion = Omit<ModelVersion, Assigned | keyof Given> &
  Partial<Given> & {
    /** One that a person has set, or the rule that assigns it. */
    semanticVersion: string | Numbering;
  };

/** Within a transaction: see `RegistryStore.register`. */
export async function register(tx: Queryable, model: NewVersion, by?: Actor): Promise<ModelVersion> {
  await tx.query('INSERT INTO models (name) VALUES ($1) ON CONFLICT DO NOTHING', [model.modelName]);
  await lockModel(tx, model.modelName);
  const known = await versionOfRun(tx, model.runId);
  if (known) return known;
  const semanticVersion = await numberOf(tx, model);
  const registered = await insert(tx, { ...model, semanticVersion });
  if (!registered) throw new PerennialError('internal', `Run ${model.runId} could not be registered.`);
  await writeAudit(tx, {
    by: by ?? (await trainerOf(tx, model)),
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

function insert(tx: Queryable, model: NewVersion & { semanticVersion: string }): Promise<ModelVersion | null> {
  return tx.row(
    versionRow,
    `WITH next AS (UPDATE models SET latest_version = latest_version + 1 WHERE name = $1 RETURNING latest_version)
     INSERT INTO model_versions (model_name, version, stage, run_id, architecture, labels, dataset, dataset_version,
       dataset_digest, bundle_key, bundle_sha256, size_bytes, evaluation, semantic_version, origin, description, tags,
       verified_at)
     SELECT $1, latest_version, 'Staging', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, now()
     FROM next RETURNING *`,
    [
      model.modelName,
      model.runId,
      model.architecture,
      jsonParameter(model.labels),
      model.dataset,
      model.datasetVersion,
      model.datasetDigest,
      model.bundleKey,
      model.bundleSha256,
      model.sizeBytes,
      jsonParameter(model.evaluation),
      model.semanticVersion,
      model.origin ?? 'trained',
      model.description ?? '',
      jsonParameter(model.tags ?? {}),
    ],
  );
}

async function numberOf(tx: Queryable, model: NewVersion): Promise<string> {
  const { modelName, semanticVersion } = model;
  if (typeof semanticVersion === 'string') {
    await holdSemanticVersion(tx, modelName, semanticVersion);
    return semanticVersion;
  }
  const latest = await tx.row(
    versionRow,
    'SELECT * FROM model_versions WHERE model_name = $1 ORDER BY version DESC LIMIT 1',
    [modelName],
  );
  const trained = await tx.row(
    versionRow,
    `SELECT * FROM model_versions WHERE model_name = $1 AND architecture <> 'external' ORDER BY version DESC LIMIT 1`,
    [modelName],
  );
  const greatest = await tx.row(
    z.object({ semanticVersion: z.string() }),
    `SELECT semantic_version FROM model_versions WHERE model_name = $1
     ORDER BY string_to_array(semantic_version, '.')::integer[] DESC LIMIT 1`,
    [modelName],
  );
  const network = trained?.architecture ?? null;
  return semanticVersion(model, latest && greatest && { latest, network, greatest: greatest.semanticVersion });
}

/** Checks that no other version has this semantic version. Throws `conflict`, which names the holder. */
export async function holdSemanticVersion(
  tx: Queryable,
  modelName: string,
  semanticVersion: string,
  except: number | null = null,
): Promise<void> {
  const holder = await tx.row(
    z.object({ version: z.number() }),
    `SELECT version FROM model_versions
     WHERE model_name = $1 AND semantic_version = $2 AND version IS DISTINCT FROM $3`,
    [modelName, semanticVersion, except],
  );
  if (!holder) return;
  throw new PerennialError(
    'conflict',
    `Version ${holder.version} of ${modelName} is ${semanticVersion} already. A semantic version is used once; choose another.`,
  );
}

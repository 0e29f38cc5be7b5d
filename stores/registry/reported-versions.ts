import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import type { ModelVersion, RegisteredVersion, ReportedMetrics } from '../../contracts/registry/registry.js';
import { writeAudit } from '../audit/audit.js';
import { jsonParameter } from '../postgres/columns.js';
import type { Queryable } from '../postgres/database.js';
import { lockModel } from '../promotion/production.js';
import { recordStage } from './edits.js';
import { fileColumns, fileParameters, type NewVersion } from './new-version.js';
import { readVersion, registeredRow, subjectOf, versionRow } from './rows.js';
import { holdSemanticVersion, numberOf, type Numbering } from './semantic-versions.js';

/** A version of which there is no file, only what a client reports. */
export interface ReportedRegistration {
  modelName: string;
  metrics: ReportedMetrics;
  description: string;
  tags: Readonly<Record<string, string>>;
  /** One that a person has set, or the rule that assigns it. */
  semanticVersion: string | Numbering;
  /** The same key makes one version of a model. */
  idempotencyKey: string;
  by: Actor;
}

/** Within a transaction: see `RegistryStore.report`. */
export async function report(tx: Queryable, registration: ReportedRegistration): Promise<RegisteredVersion> {
  const { modelName, description, metrics, tags, idempotencyKey, by } = registration;
  await tx.query('INSERT INTO models (name) VALUES ($1) ON CONFLICT DO NOTHING', [modelName]);
  await lockModel(tx, modelName);
  const earlier = await registeredBefore(tx, registration);
  if (earlier) return earlier;
  const semanticVersion = await numberOf(tx, modelName, registration.semanticVersion, null);
  const reported = await tx.row(
    registeredRow,
    `WITH next AS (UPDATE models SET latest_version = latest_version + 1 WHERE name = $1 RETURNING latest_version)
     INSERT INTO model_versions (model_name, version, stage, origin, semantic_version, description, tags,
       reported_metrics, registration_key)
     SELECT $1, latest_version, 'None', 'reported', $2, $3, $4, $5, $6 FROM next RETURNING *`,
    [modelName, semanticVersion, description, jsonParameter(tags), jsonParameter(metrics), idempotencyKey],
  );
  if (!reported) throw new PerennialError('internal', `The reported version of ${modelName} could not be written.`);
  const { version, stage, origin } = reported;
  await writeAudit(tx, {
    by,
    action: 'version.register',
    subject: subjectOf(modelName, version),
    after: { semanticVersion, stage, origin, reportedMetrics: metrics },
  });
  return reported;
}

/** The version that this key made; null if it made none. Throws `conflict` if it made another one. */
async function registeredBefore(
  tx: Queryable,
  { modelName, metrics, idempotencyKey }: ReportedRegistration,
): Promise<RegisteredVersion | null> {
  const earlier = await tx.row(
    z.object({ version: z.number(), isSame: z.boolean() }),
    `SELECT version, reported_metrics = $3 AS is_same FROM model_versions
     WHERE model_name = $1 AND registration_key = $2`,
    [modelName, idempotencyKey, jsonParameter(metrics)],
  );
  if (!earlier) return null;
  // Throws `not_found` for a deleted version.
  if (earlier.isSame) return readVersion(tx, modelName, earlier.version);
  throw new PerennialError(
    'conflict',
    `The key ${idempotencyKey} was used to register version ${earlier.version} of ${modelName} with other metrics. Use a new key.`,
  );
}

/**
 * Gives a version its file and moves it to Staging, as an import of its own would be. It keeps its number, its metrics
 * and what `model` does not replace. Throws `not_found`, and `conflict` if it has a file.
 */
export async function addFile(
  tx: Queryable,
  model: NewVersion,
  version: number,
  by: Actor,
): Promise<ModelVersion | null> {
  const { modelName, semanticVersion: given } = model;
  const current = await readVersion(tx, modelName, version);
  requireNoFile(current);
  const semanticVersion = typeof given === 'string' ? given : current.semanticVersion;
  await holdSemanticVersion(tx, modelName, semanticVersion, version);
  await recordStage(tx, current, 'Staging', { by, reason: 'its file was added' });
  return tx.row(
    versionRow,
    `UPDATE model_versions SET (${fileColumns}) = ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12), stage = 'Staging',
       origin = 'uploaded', verified_at = now(), semantic_version = $13, description = $14, tags = $15
     WHERE model_name = $1 AND version = $2 RETURNING *`,
    [
      modelName,
      version,
      ...fileParameters(model),
      semanticVersion,
      model.description ?? current.description,
      jsonParameter({ ...current.tags, ...model.tags }),
    ],
  );
}

/** Throws `conflict` if a version has a file. */
export function requireNoFile({ modelName, version, origin }: RegisteredVersion): void {
  if (origin === 'reported') return;
  throw new PerennialError(
    'conflict',
    `Version ${version} of ${modelName} has a file, and a version never changes its file. Omit “version” from the form to register a new version.`,
  );
}

import { z } from 'zod';
import { PerennialError } from '../contracts/errors.js';
import { modelVersionSchema, type Decision, type ModelVersion } from '../contracts/registry.js';
import { integerColumn, jsonParameter, timestampColumn } from './columns.js';
import type { Database, Queryable } from './database.js';
import { pageOfRows, sequenceOfToken, type Page } from './page.js';
import { promote, revertPromotion, type Move, type PromotionRequest, type ReversionRequest } from './promotions.js';
import { finishRun, type RunOutcome } from './runs.js';

const versionRow = modelVersionSchema.extend({ sizeBytes: integerColumn, createdAt: timestampColumn });

const historyRow = z.object({
  id: integerColumn,
  modelName: z.string(),
  kind: z.enum(['promotion', 'rollback']),
  version: z.number(),
  formerVersion: z.number().nullable(),
  generation: integerColumn,
  actor: z.string(),
  reason: z.string(),
  workflowId: z.string().nullable(),
  createdAt: timestampColumn,
});
export type PromotionRecord = z.output<typeof historyRow>;

const replicaRow = z.object({
  replicaId: z.string(),
  url: z.string(),
  modelName: z.string(),
  generation: integerColumn,
  version: z.number().nullable(),
  error: z.string().nullable(),
  /** Code of `error`, from the table of contracts/errors.ts. */
  errorCode: z.string().nullable(),
  seenAt: timestampColumn,
});
export type Replica = z.output<typeof replicaRow>;

export interface ServingState {
  generation: number;
  version: ModelVersion | null;
}

type NewVersion = Omit<ModelVersion, 'version' | 'stage' | 'createdAt' | 'decision'>;

/** Model versions, their stages, what is served, and who serves it. */
export interface RegistryStore {
  /**
   * Adds a version in Staging under the model's next number, and with an outcome ends the run it came from in the
   * same transaction: a run has completed when it has a version. A run that is registered already keeps its version.
   * Throws `conflict` when the run failed or was cancelled.
   */
  register(version: NewVersion, outcome?: RunOutcome): Promise<ModelVersion>;
  /** Throws `not_found`. */
  get(modelName: string, version: number): Promise<ModelVersion>;
  /** Versions of a model, newest first. */
  list(modelName: string, query: { limit: number; pageToken?: string | null }): Promise<Page<ModelVersion>>;
  /** Names of all models, in order. */
  models(): Promise<string[]>;
  production(modelName: string): Promise<ModelVersion | null>;
  recordDecision(modelName: string, version: number, decision: Decision): Promise<void>;
  /** Moves a Staging version to Production and archives the former one. Throws `not_found` or `conflict`. */
  promote(request: PromotionRequest): Promise<Move>;
  /** Takes a promotion back: its version is archived, the former one is in Production again, or none is. */
  revertPromotion(request: ReversionRequest): Promise<Move>;
  /** Promotions and rollbacks of a model, newest first. */
  history(modelName: string, limit?: number): Promise<PromotionRecord[]>;
  /** What replicas of this model must serve; generation 0 before the first promotion. */
  servingState(modelName: string): Promise<ServingState>;
  reportReplica(replica: Omit<Replica, 'seenAt'>): Promise<void>;
  /** Replicas that reported within the last `withinMs`. */
  liveReplicas(modelName: string, withinMs: number): Promise<Replica[]>;
  /** Forgets a replica that ends, so that nobody waits for it. */
  removeReplica(replicaId: string): Promise<void>;
}

export function createRegistryStore(db: Database): RegistryStore {
  const production = (modelName: string): Promise<ModelVersion | null> =>
    db.row(versionRow, `SELECT * FROM model_versions WHERE model_name = $1 AND stage = 'Production'`, [modelName]);
  return {
    register: (version, outcome) =>
      db.transaction(async (tx) => {
        const registered = await register(tx, version);
        if (outcome) await finishRun(tx, version.runId, outcome);
        return registered;
      }),
    async get(modelName, version) {
      const found = await getVersion(db, modelName, version);
      if (found) return found;
      throw new PerennialError('not_found', `There is no version ${version} of ${modelName}.`);
    },
    async list(modelName, { limit, pageToken }) {
      const rows = await db.rows(
        versionRow,
        `SELECT * FROM model_versions WHERE model_name = $1 AND ($2::bigint IS NULL OR version < $2)
         ORDER BY version DESC LIMIT $3`,
        [modelName, sequenceOfToken(pageToken), limit + 1],
      );
      return pageOfRows(
        rows.map((item) => ({ sequence: item.version, item })),
        limit,
      );
    },
    async models() {
      const rows = await db.rows(z.object({ name: z.string() }), 'SELECT name FROM models ORDER BY name');
      return rows.map(({ name }) => name);
    },
    production,
    async recordDecision(modelName, version, decision) {
      await db.query('UPDATE model_versions SET decision = $3 WHERE model_name = $1 AND version = $2', [
        modelName,
        version,
        jsonParameter(decision),
      ]);
    },
    promote: (request) => db.transaction((tx) => promote(tx, request)),
    revertPromotion: (request) => db.transaction((tx) => revertPromotion(tx, request)),
    history: (modelName, limit = 100) =>
      db.rows(historyRow, 'SELECT * FROM promotions WHERE model_name = $1 ORDER BY id DESC LIMIT $2', [
        modelName,
        limit,
      ]),
    servingState: (modelName) => servingState(db, modelName),
    ...replicaRecord(db),
  };
}

type ReplicaRecord = Pick<RegistryStore, 'reportReplica' | 'liveReplicas' | 'removeReplica'>;

function replicaRecord(db: Database): ReplicaRecord {
  return {
    async reportReplica({ replicaId, url, modelName, generation, version, error, errorCode }) {
      await db.query(
        `INSERT INTO replicas (replica_id, model_name, url, generation, version, error, error_code)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (replica_id, model_name) DO UPDATE SET url = excluded.url, generation = excluded.generation,
           version = excluded.version, error = excluded.error, error_code = excluded.error_code, seen_at = now()`,
        [replicaId, modelName, url, generation, version, error, errorCode],
      );
    },
    liveReplicas: (modelName, withinMs) =>
      db.rows(
        replicaRow,
        `SELECT * FROM replicas WHERE model_name = $1 AND seen_at > now() - $2 * interval '1 millisecond'
         ORDER BY replica_id`,
        [modelName, withinMs],
      ),
    async removeReplica(replicaId) {
      await db.query('DELETE FROM replicas WHERE replica_id = $1', [replicaId]);
    },
  };
}

function getVersion(db: Queryable, modelName: string, version: number): Promise<ModelVersion | null> {
  return db.row(versionRow, 'SELECT * FROM model_versions WHERE model_name = $1 AND version = $2', [
    modelName,
    version,
  ]);
}

async function register(tx: Queryable, model: NewVersion): Promise<ModelVersion> {
  await tx.query('INSERT INTO models (name) VALUES ($1) ON CONFLICT DO NOTHING', [model.modelName]);
  await tx.query('SELECT FROM models WHERE name = $1 FOR UPDATE', [model.modelName]);
  const known = await tx.row(versionRow, 'SELECT * FROM model_versions WHERE run_id = $1', [model.runId]);
  if (known) return known;
  const registered = await tx.row(
    versionRow,
    `WITH next AS (UPDATE models SET latest_version = latest_version + 1 WHERE name = $1 RETURNING latest_version)
     INSERT INTO model_versions (model_name, version, stage, run_id, architecture, labels, dataset, dataset_version,
       dataset_digest, bundle_key, bundle_sha256, size_bytes, evaluation)
     SELECT $1, latest_version, 'Staging', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM next RETURNING *`,
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
    ],
  );
  if (!registered) throw new PerennialError('internal', `Run ${model.runId} could not be registered.`);
  return registered;
}

async function servingState(db: Queryable, modelName: string): Promise<ServingState> {
  const state = await db.row(
    z.object({ generation: integerColumn, version: z.number().nullable() }),
    'SELECT generation, version FROM serving_state WHERE model_name = $1',
    [modelName],
  );
  if (!state) return { generation: 0, version: null };
  const version = state.version === null ? null : await getVersion(db, modelName, state.version);
  return { generation: state.generation, version };
}

import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import {
  retirementSchema,
  type Decision,
  type ModelVersion,
  type RegisteredVersion,
  type Retirement,
  type Stage,
} from '../../contracts/registry/registry.js';
import { writeAudit } from '../audit/audit.js';
import { integerColumn, jsonParameter, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { checkNameToken, pageBy, sequenceOfToken, type Page } from '../postgres/page.js';
import { retirementOf, servedNow, unknownModel } from '../promotion/production.js';
import { retire, type RetiredModel, type RetirementRequest } from '../promotion/retirements.js';
import { promote, requirePromotable, type ProductionMove, type PromotionRequest } from '../promotion/promotions.js';
import {
  revertPromotion,
  rollBack,
  type ReversionRequest,
  type Rollback,
  type RollbackRequest,
} from '../promotion/rollbacks.js';
import { createAliasRecord, type AliasRecord } from './aliases.js';
import { createVersionEdits, type VersionEdits } from './edits.js';
import { createProductionHistory, type ProductionHistory } from './history.js';
import type { NewVersion } from './new-version.js';
import { register } from './registration.js';
import { createRemeasurementRecord, type RemeasurementRecord } from './remeasurements.js';
import { report, type ReportedRegistration } from './reported-versions.js';
import { createReplicaRecord, type ReplicaRecord } from './replicas.js';
import { createVersionRetention, type VersionRetention } from './version-deletion.js';
import {
  latestVersion,
  readVersion,
  registeredRow,
  requireModel,
  resolveVersion,
  versionOfRun,
  versionRow,
  withFile,
} from './rows.js';
import { finishRun, type RunOutcome } from '../experiments/runs.js';

export type { Replica } from './replicas.js';

export interface ServingState {
  generation: number;
  version: ModelVersion | null;
  /** Why `version` is null, if that is on purpose. */
  retirement: Retirement | null;
}

export interface VersionQuery {
  limit: number;
  pageToken?: string | null;
  stage?: Stage | undefined;
  /** A tag that the version must have; with `value`, with this value. */
  tag?: { key: string; value: string | null } | undefined;
}

/** A time within JSON that Postgres builds. */
const jsonTime = z.iso.datetime({ offset: true }).transform((time) => new Date(time).toISOString());

const summaryRow = z.object({
  name: z.string(),
  versions: integerColumn,
  latestVersion: z.number().nullable(),
  production: z.number().nullable(),
  productionSince: timestampColumn.nullable(),
  retired: retirementSchema.extend({ at: jsonTime }).nullable(),
  createdAt: timestampColumn,
});
export type ModelSummary = z.output<typeof summaryRow>;

/** Model versions, their stages, and the serving state. */
export interface RegistryStore
  extends VersionEdits, AliasRecord, ProductionHistory, VersionRetention, ReplicaRecord, RemeasurementRecord {
  /**
   * Adds a version in Staging under the model's next number. With an outcome, completes its run in the same transaction:
   * a run is complete if it has a version. A registered run keeps its version. Throws `conflict` if the run failed or
   * was cancelled, if a given semantic version is used, or if the version to fill has a file.
   */
  register(version: NewVersion, outcome?: RunOutcome, by?: Actor): Promise<ModelVersion>;
  /** Adds a version without a file, in None. Throws `conflict` if the key or the semantic version is used otherwise. */
  report(registration: ReportedRegistration): Promise<RegisteredVersion>;
  /** Throws `not_found`, `version_without_file`. */
  get(modelName: string, version: number): Promise<ModelVersion>;
  /** The version of a run, deleted or not; null if it has none. */
  ofRun(runId: string): Promise<ModelVersion | null>;
  /** A version by its number, or by `@alias`. Throws `not_found`, `version_without_file`. */
  resolve(modelName: string, reference: string): Promise<ModelVersion>;
  /** As `resolve`, also a version without a file. Throws `not_found`. */
  resolveAny(modelName: string, reference: string): Promise<RegisteredVersion>;
  /** Undeleted versions of a model, newest first. Throws `not_found` for a model that never had one. */
  list(modelName: string, query: VersionQuery): Promise<Page<RegisteredVersion>>;
  /** Names of all models, in order. */
  models(): Promise<string[]>;
  /** Models with their Production version, by name. */
  summaries(query: { limit: number; pageToken?: string | null }): Promise<Page<ModelSummary>>;
  /** Throws `not_found`. */
  summary(modelName: string): Promise<ModelSummary>;
  production(modelName: string): Promise<ModelVersion | null>;
  /**
   * Stores a validation. `decision` of a version that was promoted stays the one it was promoted by. A decision after a
   * served evaluation also marks the bundle as verified.
   */
  recordDecision(modelName: string, version: number, decision: Decision): Promise<void>;
  /** Moves a Staging version to Production and archives the previous one. Throws `not_found`, `conflict`, `stale_promotion`. */
  promote(request: PromotionRequest): Promise<ProductionMove>;
  /** Throws `conflict` if the version cannot be promoted from its stage, unless this key has promoted it already. */
  requirePromotable(request: Pick<PromotionRequest, 'modelName' | 'version' | 'idempotencyKey'>): Promise<void>;
  /** Reverts a promotion: archives its version and restores the previous one, if any. */
  revertPromotion(request: ReversionRequest): Promise<ProductionMove>;
  /** Puts a version that served before back into Production. Throws `not_found`, or `conflict` if there is none. */
  rollBack(request: RollbackRequest): Promise<Rollback>;
  /** Leaves Production empty on purpose. Throws `not_found`, `stale_promotion`, and `conflict` if it is empty. */
  retire(request: RetirementRequest): Promise<RetiredModel>;
  /** The version that replicas must serve; generation 0 before the first promotion. */
  servingState(modelName: string): Promise<ServingState>;
}

export function createRegistryStore(db: Database): RegistryStore {
  const production = (modelName: string): Promise<ModelVersion | null> =>
    db.row(versionRow, `SELECT * FROM model_versions WHERE model_name = $1 AND stage = 'Production'`, [modelName]);
  return {
    register: (version, outcome, by) =>
      db.transaction(async (tx) => {
        const registered = await register(tx, version, by);
        if (outcome) await finishRun(tx, version.runId, outcome);
        return registered;
      }),
    report: (registration) => db.transaction((tx) => report(tx, registration)),
    get: async (modelName, version) => withFile(await readVersion(db, modelName, version)),
    ofRun: (runId) => versionOfRun(db, runId),
    resolve: async (modelName, reference) => withFile(await resolveVersion(db, modelName, reference)),
    resolveAny: (modelName, reference) => resolveVersion(db, modelName, reference),
    list: (modelName, query) => listVersions(db, modelName, query),
    summaries: (query) => listModels(db, query),
    summary: (modelName) => readSummary(db, modelName),
    async models() {
      const rows = await db.rows(z.object({ name: z.string() }), 'SELECT name FROM models ORDER BY name');
      return rows.map(({ name }) => name);
    },
    production,
    recordDecision: (modelName, version, decision) =>
      db.transaction((tx) => recordDecision(tx, modelName, version, decision)),
    promote: (request) => db.transaction((tx) => promote(tx, request)),
    requirePromotable: (request) => requirePromotable(db, request),
    revertPromotion: (request) => db.transaction((tx) => revertPromotion(tx, request)),
    retire: (request) => db.transaction((tx) => retire(tx, request)),
    rollBack: (request) => db.transaction((tx) => rollBack(tx, request)),
    servingState: (modelName) => servingState(db, modelName),
    ...createVersionEdits(db),
    ...createAliasRecord(db),
    ...createProductionHistory(db),
    ...createVersionRetention(db),
    ...createReplicaRecord(db),
    ...createRemeasurementRecord(db),
  };
}

async function listVersions(
  db: Queryable,
  modelName: string,
  { limit, pageToken, stage, tag }: VersionQuery,
): Promise<Page<RegisteredVersion>> {
  const rows = await db.rows(
    registeredRow,
    `SELECT * FROM model_versions
     WHERE model_name = $1 AND deleted_at IS NULL AND ($2::bigint IS NULL OR version < $2)
       AND ($4::text IS NULL OR stage = $4) AND ($5::text IS NULL OR (tags ? $5 AND coalesce(tags ->> $5 = $6, true)))
     ORDER BY version DESC LIMIT $3`,
    [modelName, sequenceOfToken(pageToken), limit + 1, stage ?? null, tag?.key ?? null, tag?.value ?? null],
  );
  if (rows.length === 0) await requireModel(db, modelName);
  return pageBy(rows, limit, ({ version }) => version);
}

const summaries = `SELECT m.name, m.created_at, v.versions, v.latest_version, s.version AS production,
    CASE WHEN s.version IS NOT NULL THEN s.changed_at END AS production_since,
    (SELECT jsonb_build_object('version', p.version, 'at', p.created_at, 'by', p.actor, 'reason', p.reason)
     FROM promotions p WHERE p.model_name = m.name AND p.generation = s.generation AND s.version IS NULL
       AND p.kind = 'retirement') AS retired
  FROM models m LEFT JOIN serving_state s ON s.model_name = m.name
    CROSS JOIN LATERAL (SELECT count(*) AS versions, ${latestVersion} AS latest_version FROM model_versions
      WHERE model_name = m.name AND deleted_at IS NULL) v`;

async function readSummary(db: Queryable, modelName: string): Promise<ModelSummary> {
  const found = await db.row(summaryRow, `${summaries} WHERE m.name = $1`, [modelName]);
  if (!found) throw unknownModel(modelName);
  return found;
}

async function listModels(
  db: Queryable,
  { limit, pageToken }: { limit: number; pageToken?: string | null },
): Promise<Page<ModelSummary>> {
  checkNameToken(pageToken);
  const rows = await db.rows(
    summaryRow,
    `${summaries} WHERE $1::text IS NULL OR m.name > $1 ORDER BY m.name LIMIT $2`,
    [pageToken ?? null, limit + 1],
  );
  const items = rows.slice(0, limit);
  return { items, nextPageToken: rows.length > limit ? (items.at(-1)?.name ?? null) : null };
}

async function recordDecision(tx: Queryable, modelName: string, version: number, decision: Decision): Promise<void> {
  const wasServed = decision.reasons.some(({ check, passed }) => check === 'smoke_test' && passed);
  await tx.query(
    `UPDATE model_versions v SET last_validation = $3, last_validated_at = now(),
       decision = CASE WHEN EXISTS (SELECT FROM promotions p WHERE p.model_name = v.model_name
         AND p.version = v.version AND p.kind = 'promotion') THEN decision ELSE $3 END,
       verified_at = CASE WHEN $4 THEN now() ELSE verified_at END
     WHERE model_name = $1 AND version = $2`,
    [modelName, version, jsonParameter(decision), wasServed],
  );
  const { outcome, summary } = decision;
  await writeAudit(tx, {
    by: { name: 'validateModel', via: 'workflow', from: `validation of ${modelName}`, requestId: null },
    action: 'version.decide',
    subject: `models/${modelName}/versions/${version}`,
    after: { outcome, summary },
  });
}

async function servingState(db: Queryable, modelName: string): Promise<ServingState> {
  const { generation, version } = await servedNow(db, modelName);
  if (version !== null) {
    return { generation, version: withFile(await readVersion(db, modelName, version)), retirement: null };
  }
  return { generation, version, retirement: await retirementOf(db, modelName) };
}

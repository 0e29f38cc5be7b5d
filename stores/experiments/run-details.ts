import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import { modelMetricsSchema } from '../../contracts/training/training.js';
import { writeAudit } from '../audit/audit.js';
import { changedTags, type TagChanges } from './changed-tags.js';
import { errorOf, integerColumn, jsonParameter, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { runSummaryColumns, runSummaryFrom, runSummarySelect } from './experiments.js';
import type { Page } from '../postgres/page.js';
import { snakeCase } from '../../contracts/http/spelling.js';
import { lockRun } from './run-lock.js';

const detailRow = runSummaryColumns
  .extend({
    metrics: modelMetricsSchema.nullable(),
    checkpoints: integerColumn,
    /** The pipeline that made the run; null if unknown. */
    pipelineId: z.string().nullable(),
    /** The Temporal run that worked on it last; null if unknown. */
    temporalRunId: z.string().nullable(),
  })
  .transform(({ errorCode, errorMessage, ...run }) => ({ ...run, error: errorOf({ errorCode, errorMessage }) }));
export type RunDetail = z.output<typeof detailRow>;

const pointRow = z.object({ name: z.string(), step: z.number(), value: z.number(), recordedAt: timestampColumn });

/** A metric of a run per step, by its public name. */
export interface MetricCurve {
  name: string;
  points: Omit<z.output<typeof pointRow>, 'name'>[];
}

export interface CurveQuery {
  /** One metric only, by its public name. */
  name?: string;
  fromStep?: number;
  toStep?: number;
  limit: number;
  pageToken?: string | null;
}

export interface RunChanges {
  name?: string | undefined;
  tags?: TagChanges | undefined;
}

/** Details, edits and deletion of single runs. Deleted runs are not found. */
export interface RunDetailStore {
  detail(runId: string): Promise<RunDetail | null>;
  /** Metrics per step, paged by metric name. */
  curves(runId: string, query: CurveQuery): Promise<Page<MetricCurve>>;
  /** Sorted public names of the runs' per-step metrics. */
  metricNames(runIds: readonly string[]): Promise<string[]>;
  /** Changes the given fields; null removes a tag. Throws `not_found`. */
  update(runId: string, changes: RunChanges, by: Actor): Promise<void>;
  /**
   * Marks a run as deleted; its files stay. Throws `not_found`, `conflict` for a running one, and `referenced` if a model
   * version came from it or it is a search with trials.
   */
  remove(runId: string, by: Actor): Promise<void>;
}

export function createRunDetailStore(db: Database): RunDetailStore {
  return {
    detail: (runId) =>
      db.row(
        detailRow,
        `SELECT ${runSummarySelect}, runs.metrics,
           (SELECT count(*) FROM checkpoints WHERE checkpoints.run_id = runs.run_id) AS checkpoints,
           (SELECT pipelines.run_id FROM pipelines
            WHERE pipelines.run_id = runs.workflow_run_id
              OR starts_with(runs.workflow_id || '-', pipelines.workflow_id || '-' || pipelines.run_id || '-')
            LIMIT 1) AS pipeline_id,
           coalesce(runs.workflow_run_id, (SELECT activity_attempts.run_id FROM activity_attempts
            WHERE activity_attempts.workflow_id COLLATE "C" = runs.workflow_id COLLATE "C"
            ORDER BY sequence DESC LIMIT 1)) AS temporal_run_id
         FROM ${runSummaryFrom} WHERE runs.run_id = $1 AND runs.deleted_at IS NULL`,
        [runId],
      ),
    curves: (runId, query) => curves(db, runId, query),
    async metricNames(runIds) {
      const rows = await db.rows(
        z.object({ name: z.string() }),
        'SELECT DISTINCT name FROM run_metrics WHERE run_id = ANY($1)',
        [runIds],
      );
      return rows.map(({ name }) => snakeCase(name)).sort();
    },
    update: (runId, changes, by) => db.transaction((tx) => update(tx, runId, changes, by)),
    remove: (runId, by) => db.transaction((tx) => remove(tx, runId, by)),
  };
}

async function curves(
  db: Queryable,
  runId: string,
  { name, fromStep, toStep, limit, pageToken }: CurveQuery,
): Promise<Page<MetricCurve>> {
  const known = await db.rows(
    z.object({ name: z.string() }),
    'SELECT DISTINCT name FROM run_metrics WHERE run_id = $1',
    [runId],
  );
  const wanted = known
    .map((row) => ({ stored: row.name, shown: snakeCase(row.name) }))
    .filter(({ shown }) => (name === undefined || shown === name) && shown > (pageToken ?? ''))
    .sort((a, b) => (a.shown < b.shown ? -1 : 1));
  const page = wanted.slice(0, limit);
  const points = await db.rows(
    pointRow,
    `SELECT name, step, value, recorded_at FROM run_metrics
     WHERE run_id = $1 AND name = ANY($2) AND ($3::integer IS NULL OR step >= $3) AND ($4::integer IS NULL OR step <= $4)
     ORDER BY name, step`,
    [runId, page.map(({ stored }) => stored), fromStep ?? null, toStep ?? null],
  );
  return {
    items: page.map(({ stored, shown }) => ({
      name: shown,
      points: points
        .filter((point) => point.name === stored)
        .map(({ step, value, recordedAt }) => ({ step, value, recordedAt })),
    })),
    nextPageToken: wanted.length > limit ? (page.at(-1)?.shown ?? null) : null,
  };
}

async function update(tx: Queryable, runId: string, changes: RunChanges, by: Actor): Promise<void> {
  const before = await visible(tx, runId);
  const after = { name: changes.name ?? before.name, tags: changedTags(before.tags, changes.tags ?? {}) };
  await tx.query('UPDATE runs SET name = $2, tags = $3 WHERE run_id = $1', [
    runId,
    after.name,
    jsonParameter(after.tags),
  ]);
  await writeAudit(tx, { by, action: 'run.update', subject: `runs/${runId}`, before, after });
}

async function remove(tx: Queryable, runId: string, by: Actor): Promise<void> {
  const before = await visible(tx, runId);
  const { status } = await lockRun(tx, runId);
  if (status === 'running') {
    throw new PerennialError('conflict', `Run ${runId} is running. Cancel its pipeline before deleting it.`);
  }
  const referrer = await tx.row(
    z.object({ name: z.string() }),
    `SELECT 'version ' || version || ' of ' || model_name AS name FROM model_versions WHERE run_id = $1
     UNION ALL SELECT 'its trial ' || run_id FROM runs WHERE parent_run_id = $1 AND deleted_at IS NULL LIMIT 1`,
    [runId],
  );
  if (referrer) {
    throw new PerennialError('referenced', `Run ${runId} cannot be deleted: ${referrer.name} refers to it.`);
  }
  await tx.query('UPDATE runs SET deleted_at = now() WHERE run_id = $1', [runId]);
  await writeAudit(tx, { by, action: 'run.delete', subject: `runs/${runId}`, before: { ...before, status } });
}

/** Locks a run and returns its editable fields. Throws `not_found`. */
async function visible(tx: Queryable, runId: string): Promise<{ name: string; tags: Record<string, string> }> {
  const run = await tx.row(
    z.object({ name: z.string(), tags: z.record(z.string(), z.string()) }),
    'SELECT name, tags FROM runs WHERE run_id = $1 AND deleted_at IS NULL FOR UPDATE',
    [runId],
  );
  if (run) return run;
  throw new PerennialError('not_found', `There is no run ${runId}; GET /api/v1/experiments/-/runs lists them.`);
}

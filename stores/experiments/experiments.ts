import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import type { Filter, SortKey } from '../../contracts/experiments/run-filter.js';
import { writeAudit } from '../audit/audit.js';
import { changedTags, type TagChanges } from './changed-tags.js';
import { errorOf, integerColumn, jsonParameter, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { pageBy, sequenceOfToken, type Page } from '../postgres/page.js';
import { keyOfToken, tokenOfKey } from './run-page-token.js';
import { conditionOf, sortedBy, type Bind } from './run-search.js';
import { runColumns } from './runs.js';

const experimentRow = z.object({
  id: integerColumn,
  name: z.string(),
  description: z.string().nullable(),
  tags: z.record(z.string(), z.string()),
  createdAt: timestampColumn,
  runs: integerColumn,
  lastRunAt: timestampColumn.nullable(),
});
export type Experiment = z.output<typeof experimentRow>;

/** Columns of a run in a list; evaluations are omitted because they are long. */
export const runSummaryColumns = runColumns
  .omit({ metrics: true })
  .extend({ experiment: z.string(), modelVersion: z.number().nullable() });
const foundRow = runSummaryColumns
  .extend({ key: z.array(z.unknown()) })
  .transform(({ key, errorCode, errorMessage, ...run }) => ({
    key,
    run: { ...run, error: errorOf({ errorCode, errorMessage }) },
  }));
export type RunSummary = z.output<typeof foundRow>['run'];

/** The columns of `runSummaryColumns`, from `runs`, `experiments` and `model_versions`. */
export const runSummarySelect = `runs.run_id, runs.name, runs.kind, runs.parent_run_id, runs.tags, runs.model_name,
  runs.dataset, runs.dataset_version, runs.hyperparameters, runs.workflow_id, runs.code_revision, runs.attempt,
  runs.status, runs.weights_sha256, runs.best_epoch, runs.final_metrics, runs.error_code, runs.error_message,
  runs.started_at, runs.ended_at, experiments.name AS experiment, model_versions.version AS model_version`;
export const runSummaryFrom = `runs JOIN experiments ON experiments.id = runs.experiment_id
  LEFT JOIN model_versions ON model_versions.run_id = runs.run_id`;

export interface ExperimentChanges {
  description?: string | undefined;
  tags?: TagChanges | undefined;
}

export interface RunSearch {
  /** Null searches all experiments. */
  experiment: string | null;
  filter: Filter | null;
  /** Empty sorts newest first. */
  order: readonly SortKey[];
  limit: number;
  pageToken?: string | null;
}

/** Experiments (groups of runs), and the search for runs. */
export interface ExperimentStore {
  /** Throws `conflict` if the name is taken. */
  create(experiment: Pick<Experiment, 'name' | 'description' | 'tags'>, by: Actor): Promise<Experiment>;
  /** Changes the given fields; null removes a tag. Throws `not_found`. */
  update(name: string, changes: ExperimentChanges, by: Actor): Promise<Experiment>;
  get(name: string): Promise<Experiment | null>;
  /** Newest first. */
  list(query: { limit: number; pageToken?: string | null }): Promise<Page<Experiment>>;
  /** Runs that match a filter, paged. Pages neither skip nor repeat a run whose values do not change. */
  searchRuns(search: RunSearch): Promise<Page<RunSummary>>;
}

export function createExperimentStore(db: Database): ExperimentStore {
  return {
    create: (experiment, by) => db.transaction((tx) => create(tx, experiment, by)),
    update: (name, changes, by) => db.transaction((tx) => update(tx, name, changes, by)),
    get: (name) => getExperiment(db, name),
    async list({ limit, pageToken }) {
      const rows = await db.rows(
        experimentRow,
        `${selectExperiments} WHERE $2::bigint IS NULL OR experiments.id < $2 ORDER BY experiments.id DESC LIMIT $1`,
        [limit + 1, sequenceOfToken(pageToken)],
      );
      return pageBy(rows, limit, ({ id }) => id);
    },
    searchRuns: (search) => searchRuns(db, search),
  };
}

const selectExperiments = `SELECT experiments.*, counted.* FROM experiments CROSS JOIN LATERAL (
  SELECT count(*) AS runs, max(started_at) AS last_run_at FROM runs
  WHERE experiment_id = experiments.id AND deleted_at IS NULL) AS counted`;

function getExperiment(db: Queryable, name: string): Promise<Experiment | null> {
  return db.row(experimentRow, `${selectExperiments} WHERE experiments.name = $1`, [name]);
}

async function create(
  tx: Queryable,
  { name, description, tags }: Pick<Experiment, 'name' | 'description' | 'tags'>,
  by: Actor,
): Promise<Experiment> {
  const created = await tx.query(
    'INSERT INTO experiments (name, description, tags) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING RETURNING id',
    [name, description, jsonParameter(tags)],
  );
  if (created.length === 0) {
    throw new PerennialError('conflict', `Experiment ${name} exists already. Use it, or change it with PATCH.`);
  }
  const after = { description, tags };
  await writeAudit(tx, { by, action: 'experiment.create', subject: `experiments/${name}`, after });
  return existing(await getExperiment(tx, name), name);
}

async function update(tx: Queryable, name: string, changes: ExperimentChanges, by: Actor): Promise<Experiment> {
  await tx.query('SELECT FROM experiments WHERE name = $1 FOR UPDATE', [name]);
  const { description, tags } = existing(await getExperiment(tx, name), name);
  const before = { description, tags };
  const after = { description: changes.description ?? description, tags: changedTags(tags, changes.tags ?? {}) };
  await tx.query('UPDATE experiments SET description = $2, tags = $3 WHERE name = $1', [
    name,
    after.description,
    jsonParameter(after.tags),
  ]);
  await writeAudit(tx, { by, action: 'experiment.update', subject: `experiments/${name}`, before, after });
  return existing(await getExperiment(tx, name), name);
}

function existing(experiment: Experiment | null, name: string): Experiment {
  if (experiment) return experiment;
  throw new PerennialError('not_found', `There is no experiment ${name}; GET /api/v1/experiments lists them.`);
}

async function searchRuns(
  db: Queryable,
  { experiment, filter, order, limit, pageToken }: RunSearch,
): Promise<Page<RunSummary>> {
  const parameters: unknown[] = [];
  const bind: Bind = (value) => `$${parameters.push(value)}`;
  const sorted = sortedBy(order, bind);
  const from = keyOfToken(order, pageToken);
  const conditions = [
    'runs.deleted_at IS NULL',
    ...(experiment === null ? [] : [`experiments.name = ${bind(experiment)}`]),
    ...(filter === null ? [] : [conditionOf(filter, bind)]),
    ...(from === null ? [] : [sorted.after(from)]),
  ];
  const rows = await db.rows(
    foundRow,
    `SELECT ${runSummarySelect}, ${sorted.key} AS key FROM ${runSummaryFrom}
     WHERE ${conditions.join(' AND ')} ORDER BY ${sorted.orderBy} LIMIT ${bind(limit + 1)}`,
    parameters,
  );
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(({ run }) => run),
    nextPageToken: rows.length > limit && last ? tokenOfKey(order, last.key) : null,
  };
}

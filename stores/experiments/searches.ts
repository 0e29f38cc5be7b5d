import { z } from 'zod';
import { runStatuses, type RunStatus } from '../../contracts/workflows/runs.js';
import { hyperparametersSchema, type Hyperparameters } from '../../contracts/training/training.js';
import {
  searchBudgetSchema,
  searchSpaceSchema,
  trialScoreSchema,
  trialStatuses,
  type SearchBudget,
  type SearchSpace,
  type TrialStatus,
} from '../../contracts/experiments/tuning.js';
import { errorOf, integerColumn, jsonParameter, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { pageOfRows, sequenceOfToken, type Page } from '../postgres/page.js';

const searchRow = z.object({
  runId: z.string(),
  sequence: integerColumn,
  modelName: z.string(),
  dataset: z.string(),
  datasetVersion: z.number(),
  status: z.enum(runStatuses),
  trigger: z.string(),
  space: searchSpaceSchema,
  budget: searchBudgetSchema,
  plannedTrials: z.number(),
  startedTrials: z.number(),
  trainedEpochs: z.number(),
  bestTrial: z.number().nullable(),
  trainedRunId: z.string().nullable(),
  version: z.number().nullable(),
  errorCode: z.string().nullable(),
  errorMessage: z.string().nullable(),
  startedAt: timestampColumn,
  endedAt: timestampColumn.nullable(),
});

/** A search as stored. `runId` is the Temporal run id of its workflow. */
export interface SearchRecord {
  runId: string;
  modelName: string;
  dataset: string;
  datasetVersion: number;
  status: RunStatus;
  trigger: string;
  space: SearchSpace;
  budget: SearchBudget;
  plannedTrials: number;
  startedTrials: number;
  /** Total epochs over all trials. */
  trainedEpochs: number;
  bestTrial: number | null;
  /** The full training with the best trial's hyperparameters, and its version. */
  trainedRunId: string | null;
  version: number | null;
  error: { code: string; message: string } | null;
  startedAt: string;
  endedAt: string | null;
}

const rungSchema = trialScoreSchema.extend({ rung: z.number() });

const trialRow = z
  .object({
    number: z.number(),
    runId: z.string(),
    status: z.enum(trialStatuses),
    hyperparameters: hyperparametersSchema,
    rungs: z.array(rungSchema),
    errorCode: z.string().nullable(),
    errorMessage: z.string().nullable(),
  })
  .transform(({ errorCode, errorMessage, ...trial }) => ({
    ...trial,
    error: trial.status === 'failed' ? errorOf({ errorCode, errorMessage }) : null,
  }));

/** A trial with its score at every rung it reached. */
export interface TrialRecord {
  number: number;
  /** Id of its run. */
  runId: string;
  status: TrialStatus;
  hyperparameters: Hyperparameters;
  rungs: z.output<typeof rungSchema>[];
  error: { code: string; message: string } | null;
}

export interface SearchOpening {
  runId: string;
  datasetVersion: number;
  space: SearchSpace;
  budget: SearchBudget;
  plannedTrials: number;
}

/** Searches in the database. Every write is idempotent. */
export interface SearchStore {
  /** Adds a search whose pipeline is recorded already. */
  open(search: SearchOpening): Promise<void>;
  setBest(runId: string, bestTrial: number): Promise<void>;
  /** Records the result of the full training of the best trial. */
  setTrained(runId: string, trained: { runId: string; version: number }): Promise<void>;
  get(runId: string): Promise<SearchRecord | null>;
  /** Started trials, by number. */
  trials(runId: string): Promise<TrialRecord[]>;
  /** Newest first. */
  list(query: { limit: number; pageToken?: string | null; modelName?: string }): Promise<Page<SearchRecord>>;
}

export function createSearchStore(db: Database): SearchStore {
  return {
    async open({ runId, datasetVersion, space, budget, plannedTrials }) {
      await db.query(
        `INSERT INTO searches (run_id, dataset_version, space, budget, planned_trials) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (run_id) DO NOTHING`,
        [runId, datasetVersion, jsonParameter(space), jsonParameter(budget), plannedTrials],
      );
    },
    async setBest(runId, bestTrial) {
      await db.query('UPDATE searches SET best_trial = $2 WHERE run_id = $1', [runId, bestTrial]);
    },
    async setTrained(runId, trained) {
      await db.query('UPDATE searches SET trained_run_id = $2, version = $3 WHERE run_id = $1', [
        runId,
        trained.runId,
        trained.version,
      ]);
    },
    async get(runId) {
      const [row] = await readSearches(db, 'p.run_id = $1', [runId]);
      return row ? itemOf(row).item : null;
    },
    trials: (runId) => readTrials(db, runId),
    async list({ limit, pageToken, modelName }) {
      const rows = await readSearches(
        db,
        `($2::bigint IS NULL OR p.sequence < $2) AND ($3::text IS NULL OR p.model_name = $3)
         ORDER BY p.sequence DESC LIMIT $1`,
        [limit + 1, sequenceOfToken(pageToken), modelName ?? null],
      );
      return pageOfRows(rows.map(itemOf), limit);
    },
  };
}

/** Searches joined to their pipelines; `where` refers to the pipelines as `p`. */
function readSearches(
  db: Queryable,
  where: string,
  parameters: readonly unknown[],
): Promise<z.output<typeof searchRow>[]> {
  return db.rows(
    searchRow,
    `SELECT s.*, p.sequence, p.model_name, p.dataset, p.status, p.trigger, p.error_code, p.error_message,
       p.started_at, p.ended_at,
       (SELECT count(*)::integer FROM trials t WHERE t.search_id = s.run_id) AS started_trials,
       (SELECT coalesce(sum(r.trained_epochs), 0)::integer FROM trial_rungs r WHERE r.search_id = s.run_id)
         AS trained_epochs
     FROM searches s JOIN pipelines p ON p.run_id = s.run_id WHERE ${where}`,
    parameters,
  );
}

function itemOf({ sequence, errorCode, errorMessage, ...row }: z.output<typeof searchRow>): {
  sequence: number;
  item: SearchRecord;
} {
  return { sequence, item: { ...row, error: errorOf({ errorCode, errorMessage }) } };
}

function readTrials(db: Queryable, runId: string): Promise<TrialRecord[]> {
  return db.rows(
    trialRow,
    `SELECT t.number, t.run_id, t.status, r.hyperparameters, r.error_code, r.error_message,
       coalesce(
         (SELECT jsonb_agg(jsonb_build_object('rung', g.rung, 'epochs', g.epochs, 'bestEpoch', g.best_epoch,
            'loss', g.loss, 'accuracy', g.accuracy) ORDER BY g.rung)
          FROM trial_rungs g WHERE g.search_id = t.search_id AND g.number = t.number), '[]') AS rungs
     FROM trials t JOIN runs r ON r.run_id = t.run_id WHERE t.search_id = $1 ORDER BY t.number`,
    [runId],
  );
}

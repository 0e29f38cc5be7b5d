import { randomUUID } from 'node:crypto';
import type { RunStatus } from '../../contracts/workflows/runs.js';
import type { Hyperparameters } from '../../contracts/training/training.js';
import { parseFilter, parseOrder } from '../../domain/experiments/filter-language.js';
import type { Database } from '../../stores/postgres/database.js';
import { createExperimentStore } from '../../stores/experiments/experiments.js';
import { createRunStore, type NewRun } from '../../stores/experiments/runs.js';
import { evaluationOf, hyperparameters } from './measurements.js';

/** The outcome of a run; without an accuracy or a status it is still running. */
export interface Made {
  status?: Exclude<RunStatus, 'running' | 'completed'>;
  accuracy?: number;
  /** Validation loss of each epoch. */
  losses?: readonly number[];
  parameters?: Partial<Hyperparameters>;
}

/** Inserts a run with this outcome, on version 1 of the dataset `flowers`, and returns its id. */
export async function makeRun(
  db: Database,
  run: Partial<NewRun>,
  { status, accuracy, losses = [], parameters }: Made = {},
): Promise<string> {
  const runs = createRunStore(db);
  const runId = run.runId ?? randomUUID();
  const fixed = { modelName: 'rose', dataset: 'flowers', datasetVersion: 1, workflowId: 'w', codeRevision: 'abc' };
  await runs.open({ ...fixed, hyperparameters: { ...hyperparameters, ...parameters }, ...run, runId }, 1);
  for (const [epoch, validationLoss] of losses.entries()) {
    const rest = { trainLoss: 1, trainAccuracy: 0.5, validationAccuracy: 0.5, durationMs: 1 };
    await runs.recordEpoch(runId, 1, { epoch, validationLoss, ...rest }, null);
  }
  if (accuracy !== undefined) {
    const test = evaluationOf(accuracy);
    await runs.complete(runId, { weightsSha256: null, bestEpoch: null, metrics: null, test });
  }
  if (status) await runs.fail(runId, status, { code: 'trainer_died', message: 'gone' });
  return runId;
}

/** Names of the runs of an experiment that match a filter, in order. */
export async function findRuns(
  db: Database,
  experiment: string,
  filter: string | null,
  order = 'name',
): Promise<string[]> {
  const search = { experiment, filter: filter === null ? null : parseFilter(filter), order: parseOrder(order) };
  const { items } = await createExperimentStore(db).searchRuns({ ...search, limit: 50 });
  return items.map(({ name }) => name);
}

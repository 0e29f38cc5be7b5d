import { randomUUID } from 'node:crypto';
import type { EpochMetrics } from '../../../../contracts/training/training.js';
import {
  searchBudgetSchema,
  searchSpaceSchema,
  type TrialInput,
  type TrialProgress,
} from '../../../../contracts/experiments/tuning.js';
import { createPipelineStore } from '../../../../stores/pipelines/pipelines.js';
import { createRunStore } from '../../../../stores/experiments/runs.js';
import { createSearchStore, type SearchStore } from '../../../../stores/experiments/searches.js';
import { createTrialStore, type TrialStore } from '../../../../stores/experiments/trials.js';
import { commitImages } from '../../../support/dataset-version.js';
import { hyperparameters } from '../../../support/measurements.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';

let records: TestDatabase;
let searches: SearchStore;
let trials: TrialStore;
beforeAll(async () => {
  records = await startTestDatabase();
  searches = createSearchStore(records.db);
  trials = createTrialStore(records.db);
  await commitImages(records.db, 'flowers', { a: [1, 2, 3], b: [4, 5, 6] });
});
afterAll(() => records.stop());

const place = { workflowId: 'tune-rose-trial', codeRevision: 'abc' };
const failure = { code: 'training_diverged', message: 'It diverged.' } as const;

async function openSearch(modelName = 'rose'): Promise<string> {
  const runId = randomUUID();
  const opening = { runId, workflowId: `tune-${modelName}`, workflow: 'tuneModel', trigger: 'manual', modelName };
  await createPipelineStore(records.db).open({ ...opening, dataset: 'flowers', steps: ['start'] });
  const search = { datasetVersion: 1, space: searchSpaceSchema.parse({}), budget: searchBudgetSchema.parse({}) };
  await searches.open({ runId, ...search, plannedTrials: 50 });
  return runId;
}

function inputOf(searchId: string, number: number, rung: number): TrialInput {
  const trial = { number, hyperparameters };
  return { searchId, modelName: 'rose', dataset: 'flowers', datasetVersion: 1, trial, rung, epochs: 4 * rung };
}

function progressOf(epochs: readonly number[], loss: number): TrialProgress {
  const trained = epochs.map((epoch): EpochMetrics => {
    const losses = { trainLoss: 1, trainAccuracy: 0.5, validationLoss: 1 - epoch / 100, validationAccuracy: 0.5 };
    return { epoch, ...losses, durationMs: 1 };
  });
  const epochsHad = (epochs.at(-1) ?? 0) + 1;
  return { epochs: epochsHad, bestEpoch: epochsHad - 1, loss, accuracy: 0.9, trained, durationMs: 20 };
}

describe('searches', () => {
  it('contain their trials, each a run with its metrics and its progress', async () => {
    const searchId = await openSearch();
    await trials.recordRung(inputOf(searchId, 1, 1), { ...place, attempt: 2 }, progressOf([0, 1], 0.4));
    await trials.recordRung(inputOf(searchId, 2, 1), { ...place, attempt: 1 }, progressOf([0, 1], 0.6));
    await trials.endTrials(searchId, [2], 'stopped');
    await trials.recordRung(inputOf(searchId, 1, 2), { ...place, attempt: 1 }, progressOf([2, 3], 0.2));
    await trials.endTrials(searchId, [1], 'finished');
    await searches.setBest(searchId, 1);
    expect(await searches.trials(searchId)).toMatchObject([
      {
        number: 1,
        status: 'finished',
        rungs: [
          { rung: 1, epochs: 2, loss: 0.4 },
          { rung: 2, epochs: 4, loss: 0.2 },
        ],
      },
      { number: 2, status: 'stopped', rungs: [{ rung: 1, loss: 0.6 }] },
    ]);
    expect(await searches.get(searchId)).toMatchObject({ startedTrials: 2, trainedEpochs: 6, bestTrial: 1 });
    const runs = createRunStore(records.db);
    const [first] = await searches.trials(searchId);
    expect(await runs.get(first?.runId ?? '')).toMatchObject({
      kind: 'trial',
      name: 'trial-1',
      parentRunId: searchId,
      status: 'completed',
      bestEpoch: 3,
      hyperparameters,
      finalMetrics: { validation_loss: 0.97 },
    });
    expect((await runs.epochs(first?.runId ?? '')).map(({ epoch }) => epoch)).toEqual([0, 1, 2, 3]);
  });

  it('store a repeated write once', async () => {
    const searchId = await openSearch();
    await searches.open({ ...(await opened(searchId)), plannedTrials: 7 });
    for (const attempt of [1, 2]) {
      await trials.recordRung(inputOf(searchId, 1, 1), { ...place, attempt }, progressOf([0, 1], 0.4));
    }
    for (let times = 0; times < 2; times += 1) {
      await trials.recordFailure(inputOf(searchId, 2, 1), place, failure);
      await trials.endTrials(searchId, [1], 'stopped');
    }
    expect(await searches.get(searchId)).toMatchObject({ plannedTrials: 50, trainedEpochs: 2 });
    expect(await searches.trials(searchId)).toMatchObject([
      { status: 'stopped' },
      { status: 'failed', error: failure },
    ]);
  });

  it('refuse writes of an attempt that was superseded, or whose trial has ended', async () => {
    const searchId = await openSearch();
    const record = (rung: number, attempt: number): Promise<void> =>
      trials.recordRung(inputOf(searchId, 1, rung), { ...place, attempt }, progressOf([0], 0.4));
    await record(2, 1);
    await expect(record(1, 7)).rejects.toMatchObject({ code: 'stale_attempt' });
    await trials.recordFailure(inputOf(searchId, 1, 2), place, failure);
    await expect(record(2, 2)).rejects.toMatchObject({ code: 'stale_attempt' });
  });

  it('that end early leave nothing running', async () => {
    const searchId = await openSearch();
    await trials.recordRung(inputOf(searchId, 1, 1), { ...place, attempt: 1 }, progressOf([0], 0.4));
    await trials.recordFailure(inputOf(searchId, 2, 1), place, failure);
    await trials.abandonTrials(searchId);
    const [first, second] = await searches.trials(searchId);
    expect(first).toMatchObject({ status: 'stopped', error: null });
    expect(second).toMatchObject({ status: 'failed' });
    const run = await createRunStore(records.db).get(first?.runId ?? '');
    expect(run).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' } });
  });

  it('are listed newest first, by model, page by page', async () => {
    const ids = [await openSearch('lily'), await openSearch('lily'), await openSearch('lily')];
    const first = await searches.list({ limit: 2, modelName: 'lily' });
    expect(first.items.map(({ runId }) => runId)).toEqual([ids[2], ids[1]]);
    const rest = await searches.list({ limit: 2, modelName: 'lily', pageToken: first.nextPageToken });
    expect(rest).toMatchObject({ items: [{ runId: ids[0], modelName: 'lily' }], nextPageToken: null });
  });
});

async function opened(searchId: string): Promise<Parameters<SearchStore['open']>[0]> {
  const search = await searches.get(searchId);
  if (!search) throw new Error('it was opened');
  return search;
}

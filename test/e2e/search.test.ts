import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { searchViewSchema } from '../../contracts/experiments/http-tuning.js';
import { drawSyntheticImage, syntheticLabels } from '../../model/images/synthetic.js';
import { createLogger } from '../../platform/logging.js';
import { createDatabase, type Database } from '../../stores/postgres/database.js';
import { createRegistryStore } from '../../stores/registry/registry.js';
import { createRunStore } from '../../stores/experiments/runs.js';
import { createApiClient, poll, type ApiClient, type Pipeline } from '../support/api-client.js';
import { startStack, type TestStack } from '../support/stack.js';
import { trainerOf } from '../support/trainer-process.js';

type Search = z.output<typeof searchViewSchema>;

const perClass = 30;
const budget = { trials: 7, min_epochs: 1, max_epochs: 9 };

let imageFolder: string;
let stack: TestStack;
let api: ApiClient;
let database: Database;

beforeAll(async () => {
  imageFolder = await mkdtemp(join(tmpdir(), 'perennial-test-images-'));
  stack = await startStack();
  api = createApiClient(stack.apiUrl);
  const url = stack.environment['DATABASE_URL'] ?? '';
  database = createDatabase({ url, poolSize: 2, logger: createLogger('test', 'silent') });
  const { body } = await api.post('/api/v1/pipelines/ingestion', { source: { kind: 'folder', path: await draw() } });
  expect(await api.ended(acceptedSchema.parse(body).run_id)).toMatchObject({ status: 'completed' });
}, 120_000);

afterAll(async () => {
  await database.close();
  await stack.stop();
  await rm(imageFolder, { recursive: true, force: true });
});

/** A folder of class folders with few images: the quality of the features does not matter here. */
async function draw(): Promise<string> {
  for (const label of syntheticLabels) {
    await mkdir(join(imageFolder, label), { recursive: true });
    for (let index = 0; index < perClass; index += 1) {
      await writeFile(join(imageFolder, label, `${index}.jpg`), await drawSyntheticImage(label, index));
    }
  }
  return imageFolder;
}

async function start(body: object): Promise<string> {
  const accepted = acceptedSchema.parse((await api.post('/api/v1/pipelines/tuning', body)).body);
  expect(accepted.joined).toBe(false);
  return accepted.run_id;
}

async function searchOf(runId: string): Promise<Search> {
  return searchViewSchema.parse((await api.get(`/api/v1/searches/${runId}`)).body);
}

/** Runs a search to its end and returns it with its pipeline. */
async function search(
  body: object,
  disturb?: (runId: string) => Promise<unknown>,
): Promise<{ run: Pipeline; found: Search }> {
  const runId = await start(body);
  await disturb?.(runId);
  const run = await api.ended(runId, 90_000);
  expect(run).toMatchObject({ status: 'completed', error: null });
  return { run, found: await searchOf(runId) };
}

/** The part of a search that is the same in every repetition. */
function outcomeOf({ best, trials }: Search): object {
  return {
    best: best?.number,
    trials: trials.map(({ status, hyperparameters, rungs }) => ({ status, hyperparameters, rungs })),
  };
}

describe('a search', () => {
  let first: Search;

  it('compares real trials, registers the best, and shows its progress', async () => {
    const { run, found } = await search({ budget });
    first = found;
    expect(run.steps.map(({ status }) => status)).toEqual(run.steps.map(() => 'completed'));
    expect(found.trials.map(({ rungs }) => rungs.length).sort()).toEqual([1, 1, 1, 1, 2, 2, 2]);
    expect(found).toMatchObject({ status: 'completed', version: '1', used: { trials: 7, of_trials: 7 } });
    expect(found.used.epochs).toBeGreaterThanOrEqual(7 * 3 + 3 * 1);
    const version = await createRegistryStore(database).get('dandelion_grass_classifier', 1);
    expect(version).toMatchObject({ stage: 'Staging', runId: found.trained_run_id });
    const chart = await fetch(stack.apiUrl + found.chart_url);
    expect(await chart.text()).toContain(`best trial ${found.best_trial ?? ''}`);
    const table = await fetch(stack.apiUrl + found.table_url);
    expect(await table.text()).toContain(`| **${found.best_trial ?? ''}** | finished |`);
  }, 120_000);

  it('trains the best in full as the trial was trained', async () => {
    const runs = createRunStore(database);
    const trained = await runs.epochs(first.trained_run_id ?? '');
    const trial = await runs.epochs(first.best?.run_id ?? '');
    const curveOf = (epochs: typeof trained): number[][] =>
      epochs.map(({ epoch, trainLoss, validationLoss }) => [epoch, trainLoss, validationLoss]);
    expect(curveOf(trained)).toEqual(curveOf(trial));
    expect(await runs.get(first.best?.run_id ?? '')).toMatchObject({ kind: 'trial', status: 'completed' });
    expect((await runs.artifacts(first.trained_run_id ?? '')).map(({ name }) => name)).toContain('search.svg');
  });

  it('gives the same trials, scores and winner again, although its trainer is killed in the middle', async () => {
    const { found } = await search({ budget }, async (runId) => {
      await poll(
        () => searchOf(runId),
        ({ trials }) => trials.length > 0,
      );
      process.kill(await trainerOf(stack.pidOf('training')), 'SIGKILL');
    });
    expect(outcomeOf(found)).toEqual(outcomeOf(first));
  }, 120_000);

  it('that is cancelled retains its results and leaves nothing running', async () => {
    const runId = await start({ model_name: 'cancelled', budget: { trials: 200 } });
    await poll(
      () => searchOf(runId),
      ({ trials }) => trials.length > 2,
      30_000,
    );
    expect((await api.post(`/api/v1/pipelines/${runId}/cancel`, {})).status).toBe(202);
    expect(await api.ended(runId)).toMatchObject({ status: 'cancelled' });
    const found = await searchOf(runId);
    expect(found).toMatchObject({ status: 'cancelled', version: null, error: { code: 'cancelled' } });
    expect(found.trials.length).toBeGreaterThan(2);
    expect(new Set(found.trials.map(({ status }) => status))).toEqual(new Set(['stopped']));
    const left = await database.query(`SELECT FROM runs WHERE status = 'running'`);
    expect(left).toEqual([]);
  }, 60_000);
});

import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { createLogger } from '../../platform/logging.js';
import { createDatabase, type Database } from '../../stores/postgres/database.js';
import { createRunStore, type RunStore } from '../../stores/experiments/runs.js';
import { createApiClient, poll, type ApiClient } from '../support/api-client.js';
import { startStack, type TestStack } from '../support/stack.js';
import { trainerOf } from '../support/trainer-process.js';

/** Small, but slow enough to be killed in the middle: an epoch of this network takes one or two seconds. */
const cnn = { architecture: 'cnn', filters: [2, 2, 2], epochs: 5, batch_size: 16, early_stopping_patience: 5 };
const head = { architecture: 'efficientnet-lite0', epochs: 12, early_stopping_patience: 12 };

let stack: TestStack;
let api: ApiClient;
let database: Database;
let runs: RunStore;

beforeAll(async () => {
  stack = await startStack();
  api = createApiClient(stack.apiUrl);
  database = createDatabase({
    url: stack.environment['DATABASE_URL'] ?? '',
    poolSize: 2,
    logger: createLogger('test', 'silent'),
  });
  runs = createRunStore(database);
}, 60_000);

afterAll(async () => {
  await database.close();
  await stack.stop();
});

async function newestRunId(): Promise<string> {
  const row = await database.row(
    z.object({ runId: z.string() }),
    'SELECT run_id FROM runs ORDER BY started_at DESC LIMIT 1',
    [],
  );
  return row?.runId ?? '';
}

/** Runs a retraining to its end, with `disturb` at work meanwhile, and gives the SHA-256 of the final weights. */
async function train(hyperparameters: object, disturb: (runId: string) => Promise<void>): Promise<string> {
  const { run_id } = await api.startRetraining({ source: { kind: 'synthetic' }, hyperparameters });
  await disturb(run_id);
  const ended = await api.ended(run_id, 180_000);
  expect(ended).toMatchObject({ status: 'completed', error: null });
  const run = await runs.get(await newestRunId());
  expect(run?.status).toBe('completed');
  return run?.weightsSha256 ?? '';
}

async function untilEpoch(epoch: number): Promise<void> {
  await poll(
    async () => (await runs.epochs(await newestRunId())).length,
    (epochs) => epochs >= epoch,
    60_000,
  );
}

describe('a training that is killed', () => {
  it('ends with the same weights when the trainer dies while it embeds and while it fits', async () => {
    const disturbed = await train(head, async (runId) => {
      await api.reached(runId, 'train_new_model');
      process.kill(await trainerOf(stack.pidOf('training')), 'SIGKILL');
      await untilEpoch(3);
      process.kill(await trainerOf(stack.pidOf('training')), 'SIGKILL');
    });
    const undisturbed = await train(head, () => Promise.resolve());
    expect(disturbed).toMatch(/^[0-9a-f]{64}$/);
    expect(disturbed).toBe(undisturbed);
  }, 240_000);

  it('ends with the same weights when the worker dies in the middle of an epoch', async () => {
    const undisturbed = await train(cnn, () => Promise.resolve());
    const disturbed = await train(cnn, async (runId) => {
      await api.reached(runId, 'train_new_model');
      await untilEpoch(2);
      await sleep(500);
      await stack.kill('training');
      await stack.start('training');
    });
    expect(disturbed).toBe(undisturbed);
    const run = await runs.get(await newestRunId());
    expect(run?.attempt).toBeGreaterThan(1);
  }, 300_000);
});

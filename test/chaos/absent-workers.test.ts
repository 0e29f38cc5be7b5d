import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { createLogger } from '../../platform/logging.js';
import { createDatabase, type Database } from '../../stores/postgres/database.js';
import { createRunStore, type RunRecord, type RunStore } from '../../stores/experiments/runs.js';
import { createApiClient, poll, type ApiClient } from '../support/api-client.js';
import { drawnImages } from '../support/drawn-images.js';
import { writeFolder } from '../support/ingestion-fixture.js';
import { startStack, type TestStack } from '../support/stack.js';

/** Longer than the heartbeat timeout of every step of these runs, see workflows/activity-options.ts. */
const absenceMs = 70_000;
const cnn = { architecture: 'cnn', filters: [2, 2, 2], epochs: 6, batch_size: 4, early_stopping_patience: 6 };
const folder = mkdtempSync(join(tmpdir(), 'perennial-test-absent-'));

let stack: TestStack;
let api: ApiClient;
let database: Database;
let runs: RunStore;

beforeAll(async () => {
  writeFolder(folder, await drawnImages(24));
  stack = await startStack();
  api = createApiClient(stack.apiUrl);
  const url = stack.environment['DATABASE_URL'] ?? '';
  database = createDatabase({ url, poolSize: 2, logger: createLogger('test', 'silent') });
  runs = createRunStore(database);
}, 60_000);
afterAll(async () => {
  await database.close();
  await stack.stop();
  rmSync(folder, { recursive: true, force: true });
});

function retrain(modelName: string): Promise<{ run_id: string }> {
  return api.startRetraining({
    model_name: modelName,
    source: { kind: 'folder', path: folder },
    hyperparameters: cnn,
  });
}

/** The run of a model that is trained once. */
async function runOf(modelName: string): Promise<RunRecord> {
  const row = await database.row(z.object({ runId: z.string() }), 'SELECT run_id FROM runs WHERE model_name = $1', [
    modelName,
  ]);
  const run = await runs.get(row?.runId ?? '');
  if (!run) throw new Error(`${modelName} has no run yet`);
  return run;
}

async function untilEpoch(modelName: string, epoch: number): Promise<void> {
  await poll(
    async () => (await runs.epochs((await runOf(modelName)).runId)).length,
    (epochs) => epochs >= epoch,
    60_000,
  );
}

async function completed({ run_id }: { run_id: string }): Promise<void> {
  expect(await api.ended(run_id, 180_000)).toMatchObject({ id: run_id, status: 'completed', error: null });
}

describe('a training worker whose heartbeats stop while its trainer lives', () => {
  it('cannot commit after it wakes up: another worker has trained the model, once', async () => {
    await completed(await retrain('undisturbed'));
    const overtaken = await retrain('overtaken');
    await untilEpoch('overtaken', 1);
    const sleeper = stack.pidOf('training');
    process.kill(sleeper, 'SIGSTOP');
    await stack.start('secondTraining');
    await poll(
      () => runOf('overtaken'),
      ({ attempt }) => attempt > 1,
      60_000,
    );
    process.kill(sleeper, 'SIGCONT');
    await completed(overtaken);
    await stack.kill('secondTraining');
    const [first, second] = await Promise.all([runOf('undisturbed'), runOf('overtaken')]);
    expect(second).toMatchObject({ status: 'completed', weightsSha256: first.weightsSha256 });
    expect(await runs.epochs(second.runId)).toHaveLength(cnn.epochs);
    expect(await database.query('SELECT version FROM model_versions WHERE run_id = $1', [second.runId])).toEqual([
      { version: 1 },
    ]);
    expect(await endOfFirstAttempt()).toMatch(/^(stale_attempt|cancelled)$/);
  }, 240_000);
});

/** The error that the sleeping attempt logged. */
async function endOfFirstAttempt(): Promise<string> {
  const row = await poll(
    () =>
      database.row(
        z.object({ errorCode: z.string() }),
        `SELECT a.error_code FROM activity_attempts a JOIN runs ON runs.workflow_id = a.workflow_id
         WHERE runs.model_name = 'overtaken' AND activity_type = 'fitModel' AND a.attempt = 1
           AND a.status <> 'running'`,
        [],
      ),
    (found) => found !== null,
    20_000,
  );
  return row?.errorCode ?? '';
}

describe('workers that are absent for longer than any attempt may take', () => {
  it('complete a run that was in training and a run that had not started', async () => {
    const underWay = await retrain('under-way');
    await untilEpoch('under-way', 1);
    await Promise.all([stack.kill('training'), stack.kill('pipeline')]);
    const unbegun = await retrain('unbegun');
    await sleep(absenceMs);
    expect(await api.pipeline(underWay.run_id)).toMatchObject({ status: 'running' });
    await Promise.all([stack.start('training'), stack.start('pipeline')]);
    await Promise.all([completed(underWay), completed(unbegun)]);
    const [first, second] = await Promise.all([runOf('under-way'), runOf('unbegun')]);
    expect(second.weightsSha256).toBe(first.weightsSha256);
  }, 300_000);
});

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { z } from 'zod';
import { modelPolicySchema } from '../../contracts/promotion/policy.js';
import { createLogger } from '../../platform/logging.js';
import { createDatabase, type Database } from '../../stores/postgres/database.js';
import { createPolicyStore } from '../../stores/promotion/policies.js';
import { createRegistryStore } from '../../stores/registry/registry.js';
import { createApiClient, poll, type ApiClient } from '../support/api-client.js';
import { createChaos } from '../support/chaos.js';
import { drawnImages } from '../support/drawn-images.js';
import { tester } from '../support/measurements.js';
import { writeFolder } from '../support/ingestion-fixture.js';
import { startProcessKiller } from '../support/kill-process.js';
import { expectConsistentProduction } from '../support/consistent-production.js';
import { expectValidDatabase } from '../support/valid-database.js';
import { startStack, type TestStack } from '../support/stack.js';

/**
 * Runs of pipelines, those of three models side by side, while workers, API and Postgres are killed at random. A dozen
 * by default, which is what fits into a test run on two cores; `npm run chaos` makes thirty, CHAOS_RUNS any number.
 */
const runCount = Number(process.env['CHAOS_RUNS'] ?? '12');
const served = 'dandelion_grass_classifier';
const models = [served, 'rose', 'tulip'] as const;
const answerMs = 120_000;
const runMs = 300_000;
const chaos = createChaos();
const home = mkdtempSync(join(tmpdir(), 'perennial-test-chaos-'));

let stack: TestStack;
let api: ApiClient;
let database: Database;

beforeAll(async () => {
  // Tiny models learn little: the promotion gate must not refuse them all.
  stack = await startStack({ PROMOTION_MIN_ACCURACY: '0' });
  api = createApiClient(stack.apiUrl);
  const url = stack.environment['DATABASE_URL'] ?? '';
  database = createDatabase({ url, poolSize: 4, logger: createLogger('test', 'silent') });
  const policy = modelPolicySchema.parse({
    guard: { minutes: 0 },
    approval: { mode: 'never' },
    promotion: { minRecall: 0, aboveMajority: false, minCrossValidatedAccuracy: 0 },
  });
  for (const model of models) await createPolicyStore(database).set(model, policy, tester);
}, 60_000);
afterAll(async () => {
  await database.close();
  await stack.stop();
  rmSync(home, { recursive: true, force: true });
});

interface Answer {
  status: number;
  body: unknown;
}

/** Repeats a request with the same key, as a client does, until the API answers. */
function send(path: string, body: object): Promise<Answer> {
  const key = randomUUID();
  return poll(
    async () => {
      const response = await fetch(stack.apiUrl + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
      });
      return { status: response.status, body: await response.json() };
    },
    ({ status }) => status < 500,
    answerMs,
  );
}

const accepted = z.object({ run_id: z.string() });
const underWay = z.object({ pipeline_url: z.string() });

/** A client that works on one model, one request after another. */
function createClient(model: string): Record<'retrain' | 'ingest' | 'promote' | 'rollBack', () => Promise<void>> {
  const folder = join(home, model);
  let imageCount = 0;
  const grow = async (count: number): Promise<void> => {
    writeFolder(folder, await drawnImages(count, imageCount));
    imageCount += count;
  };
  const start = async (path: string, body: object): Promise<void> => {
    if (imageCount === 0) await grow(14);
    const { status, body: answer } = await send(path, {
      dataset: model,
      source: { kind: 'folder', path: folder },
      ...body,
    });
    expect({ status, answer }).toMatchObject({ status: 202 });
    await api.ended(accepted.parse(answer).run_id, runMs);
  };
  const retrain = (): Promise<void> => {
    const architecture = chaos.oneOf(['cnn', 'efficientnet-lite0']);
    const hyperparameters = { architecture, filters: [2, 2, 2], epochs: 2, batch_size: 8 };
    return start('/api/v1/pipelines/retraining', { model_name: model, hyperparameters });
  };
  return {
    retrain,
    async ingest() {
      await grow(2);
      await start('/api/v1/pipelines/ingestion', {});
    },
    async promote() {
      const version = await someVersion(model);
      if (version === null) return retrain();
      await send(`/api/v1/mlops/models/${model}/versions/${String(version)}/stage`, {
        stage: 'Staging',
        reason: 'chaos',
      });
      const body = { model_name: model, version, reason: 'chaos', override: true };
      const answer = await send('/api/v1/mlops/models/promote', body);
      expect([200, 202, 409, 422]).toContain(answer.status);
      const run = underWay.safeParse(answer.body).data?.pipeline_url.split('/').at(-1);
      if (run !== undefined) await api.ended(run, runMs);
    },
    async rollBack() {
      const answer = await send(`/api/v1/mlops/models/${model}/rollback`, { reason: 'chaos' });
      expect([200, 404, 409]).toContain(answer.status);
    },
  };
}

/** A version that is not in Production; null when there is none. */
async function someVersion(model: string): Promise<number | null> {
  const rows = await poll(
    () =>
      database.rows(
        z.object({ version: z.number() }),
        `SELECT version FROM model_versions WHERE model_name = $1 AND stage <> 'Production' ORDER BY version`,
        [model],
      ),
    () => true,
  );
  const [first, ...rest] = rows.map(({ version }) => version);
  return first === undefined ? null : chaos.oneOf([first, ...rest]);
}

/** Starts this many runs with one model, and sometimes a rollback. */
async function play(model: string, runs: number): Promise<void> {
  const client = createClient(model);
  await client.retrain();
  for (let run = 1; run < runs; run += 1) {
    await client[chaos.oneOf(['retrain', 'ingest', 'promote', 'promote'])]();
    if (chaos.between(0, 1) < 0.3) await client.rollBack();
  }
}

/** Waits until no run is open in Temporal or running in the database. */
async function untilNothingRuns(): Promise<void> {
  const connection = await Connection.connect({ address: stack.environment['TEMPORAL_ADDRESS'] ?? '' });
  try {
    const client = new Client({ connection });
    await poll(
      () => client.workflow.count(`ExecutionStatus = 'Running'`),
      ({ count }) => count === 0,
      runMs,
    );
    const running = `SELECT run_id FROM pipelines WHERE status = 'running'`;
    await poll(
      () => database.query(running),
      ({ length }) => length === 0,
    );
  } finally {
    await connection.close();
  }
}

it(`keeps its data consistent through ${String(runCount)} runs while everything is killed (CHAOS_SEED=${String(chaos.seed)})`, async () => {
  const startedAt = Date.now();
  expect(await api.get('/health/live')).toMatchObject({ status: 200 });
  const killer = startProcessKiller(stack, chaos);
  const shares = models.map((_, index) => Math.floor((runCount + models.length - 1 - index) / models.length));
  const played = await Promise.allSettled(models.map((model, index) => play(model, shares[index] ?? 1)));
  const killed = await killer.stop();
  for (const each of played) if (each.status === 'rejected') throw each.reason;
  await untilNothingRuns();
  const stories = await Promise.all(models.map((model) => expectConsistentProduction(database, model)));
  const moves = stories.flatMap((story) => story.changes.map(({ kind }) => kind));
  const pipelines = await expectValidDatabase(database);
  const { generation } = await createRegistryStore(database).servingState(served);
  await poll(
    () => createRegistryStore(database).liveReplicas(served, 5_000),
    (live) => live.length === 1 && live.every((replica) => replica.generation === generation && replica.error === null),
  );
  const seconds = Math.round((Date.now() - startedAt) / 1000);
  const runs = pipelines.map(({ workflow, status, errorCode }) => `${workflow} ${errorCode ?? status}`);
  process.stdout.write(`${JSON.stringify({ seconds, killed, moves: countsOf(moves), runs: countsOf(runs) })}\n`);
}, 1_200_000);

function countsOf(items: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[item] = (counts[item] ?? 0) + 1;
  return counts;
}

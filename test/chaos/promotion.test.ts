import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promotionViewSchema } from '../../contracts/promotion/http-promotions.js';
import { modelPolicySchema } from '../../contracts/promotion/policy.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { PerennialError } from '../../contracts/errors.js';
import { createApiClient, poll } from '../support/api-client.js';
import { attemptDies, withFaults, type Fault } from '../support/faults.js';
import { decisionOf, tester } from '../support/measurements.js';
import { expectConsistentProduction, type ProductionHistory } from '../support/consistent-production.js';
import { startProgram } from '../support/program.js';
import { startPromotionFixture, type PromotionFixture } from '../support/promotion-fixture.js';
import { newVersionOf } from '../support/registry-records.js';
import { formWith, redImage, serves, startApi, type ServedApi } from '../support/served-api.js';

const modelName = 'dandelion_grass_classifier';
const faults: Fault[] = [];
let fixture: PromotionFixture;
let second: ServedApi;

beforeAll(async () => {
  fixture = await startPromotionFixture((activities) => withFaults(activities, faults));
  second = await startApi(fixture.environment);
  await fixture.startWorker();
}, 60_000);
afterAll(async () => {
  await second.stop();
  await fixture.stop();
});
beforeEach(async () => {
  faults.splice(0);
  await setPolicy({});
});

async function setPolicy(policy: object, model = modelName): Promise<void> {
  await fixture.stores.policies.set(model, modelPolicySchema.parse({ guard: { minutes: 0 }, ...policy }), tester);
}

interface Answer {
  status: number;
  body: unknown;
  location: string | null;
}

async function promote(version: number, key: string = randomUUID(), more: object = {}): Promise<Answer> {
  const response = await fetch(`${fixture.served.url}/api/v1/mlops/models/promote`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({ version, reason: 'chaos', ...more }),
  });
  return { status: response.status, body: await response.json(), location: response.headers.get('location') };
}

const runIdOf = ({ location }: Answer): string => location?.split('/').at(-1) ?? '';

/** Asserts that the history of the model is consistent and ends with `version`, and that both replicas serve it. */
async function expectServed(version: Pick<ModelVersion, 'version'>): Promise<ProductionHistory> {
  const history = await expectConsistentProduction(fixture.served.api.database, modelName);
  expect(history.production).toBe(version.version);
  const replicas = await poll(
    () => fixture.stores.registry.liveReplicas(modelName, 5_000),
    (live) => live.length === 2 && live.every((replica) => replica.generation === history.generation),
    10_000,
  );
  for (const replica of replicas) expect(replica).toMatchObject({ version: version.version, error: null });
  return history;
}

const movesOf = ({ changes }: ProductionHistory, { version }: ModelVersion): string[] =>
  changes.filter((move) => move.version === version).map(({ kind }) => kind);

/** The worker dies right before the work of an activity, and at the next attempt right after it. */
function dieAround(...activities: string[]): void {
  for (const activity of activities) {
    faults.push(
      { activity, moment: 'before', strike: attemptDies },
      { activity, moment: 'after', strike: attemptDies },
    );
  }
}

describe('fifty promoters at once', () => {
  it('with one key make one promotion, and all get the same answer', async () => {
    const version = await fixture.candidate();
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => untilAnswered(() => promote(version.version, key))),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const views = answers.map(({ body }) => promotionViewSchema.parse(body));
    for (const view of views) expect(view).toEqual(views[0]);
    expect(movesOf(await expectServed(version), version)).toEqual(['promotion']);
  }, 90_000);

  it('with different keys and versions, decided on the same state: one wins, the others get the reason', async () => {
    const first = await fixture.candidate();
    const rest = await Promise.all(Array.from({ length: 49 }, () => anotherOf(first)));
    const { generation } = await fixture.stores.registry.servingState(modelName);
    const answers = await Promise.all(
      [first, ...rest].map(async (version) => {
        const key = randomUUID();
        const ask = (): Promise<Answer> => promote(version.version, key, { expected_generation: generation });
        return { version, ...(await untilAnswered(ask)) };
      }),
    );
    const [winner, ...others] = answers.filter(({ status }) => status === 200);
    expect(others).toEqual([]);
    const losers = answers.filter((answer) => answer !== winner);
    for (const loser of losers) expect(loser).toMatchObject({ status: 409, body: { code: 'stale_promotion' } });
    const history = await expectServed(winner?.version ?? { version: 0 });
    expect(history.generation).toBe(generation + 1);
  }, 90_000);
});

/** A new version with the bundle of another. */
async function anotherOf({ bundleKey, bundleSha256 }: ModelVersion, model = modelName): Promise<ModelVersion> {
  const version = await fixture.stores.registry.register(newVersionOf(model, { bundleKey, bundleSha256 }));
  await fixture.stores.registry.recordDecision(model, version.version, decisionOf('promote'));
  return version;
}

describe('a promotion whose worker dies', () => {
  it.each(['openPipeline', 'enterSteps', 'moveProduction', 'checkReplicas', 'closePipeline'])(
    'right before and right after %s is made once',
    async (activity) => {
      dieAround(activity);
      const version = await fixture.candidate();
      expect(await promote(version.version)).toMatchObject({ status: 200, body: { outcome: 'promoted' } });
      expect(faults).toEqual([]);
      expect(movesOf(await expectServed(version), version)).toEqual(['promotion']);
    },
    60_000,
  );

  it('while it opens an approval and while it receives the answer opens one approval and promotes once', async () => {
    dieAround('openApproval', 'closeApproval');
    await setPolicy({ approval: { mode: 'always' } });
    const version = await fixture.candidate();
    const runId = runIdOf(await promote(version.version));
    const api = createApiClient(fixture.served.url);
    expect(await api.post(`/api/v1/pipelines/${runId}/approve`, {})).toMatchObject({ status: 200 });
    expect(await api.ended(runId, 30_000)).toMatchObject({ result: { outcome: 'promoted' } });
    expect(faults).toEqual([]);
    expect(movesOf(await expectServed(version), version)).toEqual(['promotion']);
    const asked = await fixture.served.api.database.query(
      `SELECT kind FROM outbox WHERE kind LIKE 'approval.%' AND payload ->> 'version' = $1 ORDER BY id`,
      [String(version.version)],
    );
    expect(asked).toEqual([{ kind: 'approval.requested' }, { kind: 'approval.approved' }]);
  }, 60_000);

  it('while it waits for approval can be cancelled, and its approval is closed', async () => {
    faults.push({ activity: 'openApproval', moment: 'after', strike: attemptDies });
    await setPolicy({ approval: { mode: 'always' } });
    const runId = runIdOf(await promote((await fixture.candidate()).version));
    const api = createApiClient(fixture.served.url);
    expect(await api.post(`/api/v1/pipelines/${runId}/cancel`, {})).toMatchObject({ status: 202 });
    expect(await api.ended(runId, 30_000)).toMatchObject({ status: 'cancelled' });
    expect(await fixture.stores.approvals.isWaiting(modelName)).toBe(false);
  }, 60_000);

  it('while it is rolled back is rolled back once', async () => {
    const former = await fixture.candidate();
    await promote(former.version);
    dieAround('moveProductionBack');
    faults.push({ activity: 'checkReplicas', moment: 'after', strike: replicaFails });
    const version = await fixture.candidate();
    expect(await promote(version.version)).toMatchObject({ status: 422, body: { code: 'smoke_test_failed' } });
    expect(faults).toEqual([]);
    expect(movesOf(await expectServed(former), version)).toEqual(['promotion', 'rollback']);
  }, 60_000);

  it('while its guard runs, and while the guard rolls it back, is rolled back once', async () => {
    const former = await fixture.candidate();
    await promote(former.version);
    await setPolicy({ guard: { minutes: 5, minPredictions: 1, maxP95Ms: 0.001 } });
    dieAround('watchPromotion', 'moveProductionBack');
    const slow = await fixture.candidate();
    await promote(slow.version);
    await serves(fixture.served, slow);
    const answer = await fetch(`${fixture.served.url}/predict`, {
      method: 'POST',
      body: formWith('file', await redImage()),
    });
    expect(answer.status).toBe(200);
    await poll(
      () => Promise.resolve(faults.length),
      (left) => left === 0,
    );
    await serves(fixture.served, former);
    expect(movesOf(await expectServed(former), slow)).toEqual(['promotion', 'rollback']);
  }, 60_000);
});

function replicaFails(): never {
  throw new PerennialError('smoke_test_failed', 'A replica answered with another version.');
}

describe('a promotion whose worker is killed', () => {
  /** Promotes on a worker that kills itself right after that activity; resolves with the answer of the API. */
  async function promoteOnMortal(activity: string, ask: () => Promise<Answer>): Promise<Promise<Answer>[]> {
    const program = new URL('../support/programs/promotion-worker.js', import.meta.url).pathname;
    const mortal = startProgram([program, activity], fixture.environment);
    await mortal.line(/^up$/);
    const asked = ask();
    await mortal.ended;
    expect(mortal.process.signalCode).toBe('SIGKILL');
    return [asked];
  }

  it('right after the move, or right after the check of the replicas, is completed once by another worker', async () => {
    await fixture.stopWorker();
    // Two models, so that both wait for their lost activities to time out at the same time.
    const version = await fixture.candidate();
    const rose = await anotherOf(version, 'rose');
    await setPolicy({}, 'rose');
    const asks = [
      (): Promise<Answer> => promote(version.version, 'killed-after-the-move'),
      (): Promise<Answer> => promote(rose.version, 'killed-after-the-check', { model_name: 'rose' }),
    ] as const;
    const heard = [
      ...(await promoteOnMortal('moveProduction', asks[0])),
      ...(await promoteOnMortal('checkReplicas', asks[1])),
    ];
    await fixture.startWorker();
    await Promise.all(heard);
    for (const ask of asks) {
      expect(await untilAnswered(ask)).toMatchObject({ status: 200, body: { outcome: 'promoted' } });
    }
    expect(movesOf(await expectServed(version), version)).toEqual(['promotion']);
    expect(movesOf(await expectConsistentProduction(fixture.served.api.database, 'rose'), rose)).toEqual(['promotion']);
  }, 150_000);
});

describe('Postgres killed in the middle of a promotion', () => {
  const crash = async (): Promise<void> => {
    process.kill(fixture.postgres.pid(), 'SIGKILL');
    await fixture.postgres.pause();
    await sleep(1_000);
    await fixture.postgres.resume();
  };

  it('right before the move: the promotion happens once', async () => {
    faults.push({ activity: 'moveProduction', moment: 'before', strike: crash });
    await expectPromotedOnce(await fixture.candidate());
  }, 60_000);

  it('right after the move, before the commit is confirmed: the promotion happens once', async () => {
    const strike = (): Promise<never> => crash().then(attemptDies);
    faults.push({ activity: 'moveProduction', moment: 'after', strike });
    await expectPromotedOnce(await fixture.candidate());
  }, 60_000);

  it('while the move waits for the lock of its model: the promotion happens once', async () => {
    const version = await fixture.candidate();
    const { database } = fixture.served.api;
    const holder = database.transaction(async (tx) => {
      await tx.query('SELECT FROM models WHERE name = $1 FOR UPDATE', [modelName]);
      await poll(
        () => database.query(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`),
        ({ length }) => length > 0,
      );
      await crash();
    });
    await Promise.all([expectPromotedOnce(version), holder.catch(() => undefined)]);
  }, 60_000);
});

/**
 * Repeats the request with the same key, as a client does, until there is an answer: 202 says that the promotion is under
 * way, 503 that Temporal did not start it in time; both happen on a loaded machine.
 */
function untilAnswered(ask: () => Promise<Answer>): Promise<Answer> {
  return poll(ask, ({ status }) => status < 500 && status !== 202, 60_000);
}

async function expectPromotedOnce(version: ModelVersion): Promise<void> {
  const key = randomUUID();
  const answer = await untilAnswered(() => promote(version.version, key));
  expect(answer).toMatchObject({ status: 200, body: { outcome: 'promoted' } });
  expect(movesOf(await expectServed(version), version)).toEqual(['promotion']);
}

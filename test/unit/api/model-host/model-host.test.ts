import { LiveStatsRecorder } from '../../../../api/model-host/live-stats.js';
import { createModelHost, type ModelHost, type ServedModel } from '../../../../api/model-host/model-host.js';
import type { Calibration } from '../../../../contracts/registry/bundle.js';
import { PerennialError } from '../../../../contracts/errors.js';
import { modelPolicySchema } from '../../../../contracts/promotion/policy.js';
import { createLogger } from '../../../../platform/logging.js';
import type { Replica, ServingState } from '../../../../stores/registry/registry.js';
import { poll } from '../../../support/api-client.js';
import { fakeEngine, predictionOf, versionOf as version, type FakeEngine } from '../../../support/fake-model.js';

describe('the model host', () => {
  let state: ServingState;
  let databaseIsDown: boolean;
  let targetRisk: number | 'away';
  let calibration: Calibration | null;
  let loads: number[];
  let engines: FakeEngine[];
  let failing: Set<number>;
  let reports: Omit<Replica, 'seenAt'>[];
  let left: { replicaId: string; afterReports: number }[];
  let changes: (ServedModel | null)[];
  let hint: () => void;
  let failedLooks: number;
  let host: ModelHost;

  let liveStats: LiveStatsRecorder;

  function startHost(pollMs: number): void {
    host = createModelHost({
      modelName: 'a_model',
      replica: { id: 'replica', url: 'http://here' },
      registry: {
        servingState: () =>
          databaseIsDown ? Promise.reject(new Error(`away ${(failedLooks += 1)}`)) : Promise.resolve(state),
        reportReplica(replica) {
          reports.push(replica);
          return Promise.resolve();
        },
        removeReplica(replicaId) {
          left.push({ replicaId, afterReports: reports.length });
          return databaseIsDown ? Promise.reject(new Error('away')) : Promise.resolve();
        },
      },
      policies: {
        get: () =>
          targetRisk === 'away'
            ? Promise.reject(new Error('away'))
            : Promise.resolve(modelPolicySchema.parse({ serving: { targetRisk } })),
      },
      subscribe(onHint) {
        hint = onHint;
        return Promise.resolve(() => Promise.resolve());
      },
      loadEngine({ version: number }) {
        loads.push(number);
        if (failing.has(number))
          return Promise.reject(new PerennialError('bundle_invalid', `version ${number} is damaged`));
        const engine = fakeEngine();
        engines.push(engine);
        return Promise.resolve(Object.assign(engine, { calibration }));
      },
      onChange: (served) => changes.push(served),
      liveStats: (liveStats = new LiveStatsRecorder()),
      logger: createLogger('test', 'silent'),
      pollMs,
    });
    host.start();
  }

  beforeEach(() => {
    state = { generation: 0, version: null, retirement: null };
    databaseIsDown = false;
    failedLooks = 0;
    targetRisk = 0.05;
    calibration = null;
    loads = [];
    engines = [];
    failing = new Set();
    reports = [];
    left = [];
    changes = [];
  });
  afterEach(() => host.stop());

  const serving = (number: number): Promise<unknown> =>
    poll(
      () => Promise.resolve(host.current()?.version.version ?? 'none'),
      (now) => now === number,
    );
  const lastReport = (
    holds: (report: Omit<Replica, 'seenAt'>) => boolean,
  ): Promise<Omit<Replica, 'seenAt'> | undefined> =>
    poll(
      () => Promise.resolve(reports.at(-1)),
      (report) => report !== undefined && holds(report),
    );

  async function serve(generation: number, number: number): Promise<void> {
    state = { generation, version: version(number), retirement: null };
    await poll(
      () => Promise.resolve(host.current()?.generation ?? 0),
      (now) => now === generation,
    );
  }

  it('replaces the previous generation, and closes the one before that', async () => {
    startHost(10);
    await serve(1, 1);
    await serve(2, 2);
    expect(engines.map(({ closed }) => closed)).toEqual([false, false]);
    await serve(3, 3);
    expect(engines.map(({ closed }) => closed)).toEqual([true, false, false]);
    expect(await lastReport(({ generation }) => generation === 3)).toMatchObject({ version: 3, error: null });
    expect(changes.map((served) => served?.generation)).toEqual([1, 2, 3]);
  });

  it('returns to the previous version without loading it, any number of times', async () => {
    startHost(10);
    await serve(1, 1);
    await serve(2, 2);
    await serve(3, 1);
    await serve(4, 2);
    await serve(5, 1);
    expect(loads).toEqual([1, 2]);
    expect(engines.map(({ closed }) => closed)).toEqual([false, false]);
  });

  it('does not close an engine that serves again, also after no version was in Production', async () => {
    startHost(10);
    await serve(1, 1);
    state = { generation: 2, version: null, retirement: null };
    await lastReport(({ generation }) => generation === 2);
    expect(host.current()).toBeNull();
    await serve(3, 1);
    await serve(4, 2);
    await serve(5, 1);
    expect(loads).toEqual([1, 2]);
    expect(engines.map(({ closed }) => closed)).toEqual([false, false]);
  });

  it('reports its predictions with the current version and with the previous one', async () => {
    startHost(10);
    await serve(1, 1);
    liveStats.onPredicted({ of: 'pixels', served: host.current(), prediction: predictionOf([0.9, 0.1]) });
    liveStats.onPredicted({ of: 'pixels', served: host.current(), prediction: predictionOf([0.2, 0.8]) });
    await serve(2, 2);
    liveStats.onFailed({ of: 'image', served: host.current(), error: new PerennialError('internal', 'it broke') });
    const { figures } = (await lastReport((report) => report.figures?.current?.errors === 1)) ?? {};
    expect(figures).toMatchObject({
      current: { generation: 2, version: 2, predictions: 0, errors: 1 },
      former: { generation: 1, version: 1, predictions: 2, errors: 0, classes: { a: 1, b: 1 }, p95Ms: null },
    });
    expect(figures?.former?.confidenceSum).toBeCloseTo(1.7);
  });

  it('reacts to a notification before the poll is due', async () => {
    startHost(3_600_000);
    await lastReport(({ generation }) => generation === 0);
    state = { generation: 1, version: version(1), retirement: null };
    hint();
    await serving(1);
    expect(await lastReport(({ generation }) => generation === 1)).toMatchObject({ version: 1 });
  });

  it('continues with the previous model and reports why a generation cannot be loaded', async () => {
    startHost(10);
    state = { generation: 1, version: version(1), retirement: null };
    await serving(1);
    failing.add(2);
    state = { generation: 2, version: version(2), retirement: null };
    const report = await lastReport(({ error }) => error !== null);
    expect(report).toMatchObject({
      generation: 2,
      version: 1,
      error: 'version 2 is damaged',
      errorCode: 'bundle_invalid',
    });
    expect(host.current()?.version.version).toBe(1);
    expect(engines[0]?.closed).toBe(false);

    failing.delete(2);
    await serving(2);
    expect(await lastReport(({ error }) => error === null)).toMatchObject({
      generation: 2,
      version: 2,
      errorCode: null,
    });
  });

  it('does not wait for a damaged generation when a newer one exists', async () => {
    startHost(10);
    failing.add(1);
    state = { generation: 1, version: version(1), retirement: null };
    await lastReport(({ error }) => error !== null);
    const tries = loads.length;
    state = { generation: 2, version: version(2), retirement: null };
    await serving(2);
    expect(loads.slice(tries).at(-1)).toBe(2);
  });

  it('does not load a bundle again that it serves already', async () => {
    startHost(10);
    state = { generation: 1, version: version(1), retirement: null };
    await serving(1);
    state = { generation: 2, version: version(2, version(1).bundleSha256), retirement: null };
    await serving(2);
    expect(loads).toEqual([1]);
    expect(engines[0]?.closed).toBe(false);
  });

  it('continues with its model while the database is unavailable', async () => {
    startHost(10);
    await serve(1, 1);
    databaseIsDown = true;
    await poll(
      () => Promise.resolve(failedLooks),
      (looks) => looks > 1,
    );
    expect(host.current()?.version.version).toBe(1);
    databaseIsDown = false;
    await serve(2, 2);
  });

  it('abstains by the current policy without a reload, and by the last known one while the database is unavailable', async () => {
    const reliability = { images: 0, calibrationError: 0, bins: [] };
    const sides = { validation: reliability, test: reliability, uncalibratedTest: reliability };
    const riskCurve = [
      { threshold: 0.6, accepted: 99, wrong: 9 },
      { threshold: 0.9, accepted: 49, wrong: 0 },
    ];
    calibration = { temperature: 1, ...sides, riskImages: 99, riskCurve };
    startHost(10);
    await serve(1, 1);
    const abstainsBelow = (expected: number | null): Promise<unknown> =>
      poll(
        () => Promise.resolve({ threshold: host.current()?.abstainBelow }),
        ({ threshold }) => threshold === expected,
      );
    await abstainsBelow(0.9);
    targetRisk = 0.1;
    await abstainsBelow(0.6);
    targetRisk = 'away';
    await serve(2, 2);
    expect(host.current()).toMatchObject({ abstainBelow: 0.6, abstention: { targetRisk: 0.1, riskBound: 0.1 } });
    targetRisk = 1;
    await abstainsBelow(null);
    expect(loads).toEqual([1, 2]);
  });

  it('closes its engine when it stops', async () => {
    startHost(10);
    state = { generation: 1, version: version(1), retirement: null };
    await serving(1);
    await host.stop();
    expect(host.current()).toBeNull();
    expect(engines.every(({ closed }) => closed)).toBe(true);
  });

  it('removes its replica row once, after its last report, and predicts until it is stopped', async () => {
    startHost(10);
    state = { generation: 1, version: version(1), retirement: null };
    await serving(1);
    await host.drain();
    expect(left).toEqual([{ replicaId: 'replica', afterReports: reports.length }]);
    expect(host.current()?.version.version).toBe(1);
    await host.stop();
    expect(left).toEqual([{ replicaId: 'replica', afterReports: reports.length }]);
  });

  it('stops even if the database with its replica row is unavailable', async () => {
    startHost(10);
    state = { generation: 1, version: version(1), retirement: null };
    await serving(1);
    databaseIsDown = true;
    await host.stop();
    expect(left).toHaveLength(1);
    expect(engines.every(({ closed }) => closed)).toBe(true);
  });
});

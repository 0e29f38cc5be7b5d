import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { predictionSchema } from '../../../../contracts/inference/http-predict.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { memoryHeld } from '../../../support/collect-garbage.js';
import { tester } from '../../../support/measurements.js';
import { formWith, redImage, serves, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';

describe('a hundred changes of the model under load', () => {
  let services: TestService[];
  let served: ServedApi;
  let versions: ModelVersion[];
  let image: Uint8Array;

  beforeAll(async () => {
    const [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    services = [postgres, objectStore];
    served = await startApi({ ...postgres.environment, ...objectStore.environment });
    image = await redImage();
    // Three, because the previous version stays loaded: cycling through three loads one each time.
    versions = [];
    for (const bias of [0, 0.5, 1]) {
      const version = await served.registerTiny({ bias });
      await served.promote(version);
      await serves(served, version);
      versions.push(version);
    }
  });
  afterAll(async () => {
    await served.stop();
    await Promise.all(services.map((service) => service.stop()));
  });

  async function change(version: ModelVersion): Promise<void> {
    const { generation } = await served.registry.rollBack({
      modelName: version.modelName,
      version: version.version,
      by: tester,
      reason: 'round',
      idempotencyKey: randomUUID(),
    });
    await inForce(generation);
  }

  /** Replicas change within milliseconds; a hundred pauses of the usual length would take most of this test. */
  async function inForce(generation: number): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (served.host.current()?.generation !== generation) {
      if (Date.now() > deadline) throw new Error(`generation ${generation} was never served`);
      await sleep(2);
    }
  }

  async function changes(first: number, last: number): Promise<void> {
    for (let at = first; at <= last; at += 1) {
      // To the next version, which has to be loaded; then back and forth between two loaded ones.
      const step = Math.floor((at - 1) / 3) - (at % 3 === 2 ? 1 : 0);
      const next = versions[(step + versions.length) % versions.length];
      if (next) await change(next);
    }
  }

  it('fails no request, answers with known versions only, and does not grow in memory', async () => {
    const answers = new Map<string, number>();
    let running = true;
    const clients = Array.from({ length: 3 }, async () => {
      while (running) {
        const response = await fetch(`${served.url}/predict`, { method: 'POST', body: formWith('file', image) });
        const answer = response.ok
          ? predictionSchema.parse(await response.json()).model_version
          : await response.text();
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
        // Less load than this machine can serve, because it also loads a hundred models meanwhile.
        await sleep(10);
      }
    });
    let [before, after] = [0, 0];
    try {
      await changes(1, 21);
      before = memoryHeld().rss;
      for (let at = 22; at < 103; at += 9) {
        await changes(at, at + 8);
        after = memoryHeld().rss;
      }
    } finally {
      running = false;
      await Promise.all(clients);
    }
    expect([...answers.keys()].sort()).toEqual(versions.map(({ version }) => String(version)));
    // An engine that is not released holds a thread of at least 10 MB: 27 of them would exceed this limit.
    expect(after - before).toBeLessThan(100_000_000);
  });
});

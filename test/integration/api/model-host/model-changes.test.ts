import { tester } from '../../../support/measurements.js';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles } from '../../../../contracts/registry/bundle.js';
import { predictionSchema } from '../../../../contracts/inference/http-predict.js';
import { healthSchema } from '../../../../contracts/http/health.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import type { Replica } from '../../../../stores/registry/registry.js';
import { poll } from '../../../support/api-client.js';
import { formWith, problemOf, redImage, serves, startApi, type ServedApi } from '../../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../../support/services.js';

describe('a change of the model', () => {
  let postgres: TestService;
  let objectStore: TestService;
  let served: ServedApi;
  let image: Uint8Array;
  let first: ModelVersion;

  beforeAll(async () => {
    [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    served = await startApi({ ...postgres.environment, ...objectStore.environment });
    image = await redImage();
    first = await served.registerTiny();
    await served.promote(first);
    await serves(served, first);
  });
  afterAll(async () => {
    await served.stop();
    await Promise.all([postgres.stop(), objectStore.stop()]);
  });

  const predict = (): Promise<Response> =>
    fetch(`${served.url}/predict`, { method: 'POST', body: formWith('file', image) });
  const predictedBy = async (): Promise<string> => predictionSchema.parse(await (await predict()).json()).model_version;
  /** The report of this replica, once it satisfies the predicate. */
  const reported = (holds: (replica: Replica) => boolean): Promise<Replica | undefined> =>
    poll(
      async () => (await served.registry.liveReplicas(served.config.MODEL_NAME, 60_000))[0],
      (replica) => replica !== undefined && holds(replica),
    );

  it('changes the model under load without failing a request', async () => {
    const second = await served.registerTiny({ bias: 0.5 });
    const seen = new Set<string>();
    let running = true;
    const clients = Array.from({ length: 4 }, async () => {
      while (running) {
        const response = await predict();
        expect(response.status).toBe(200);
        seen.add(predictionSchema.parse(await response.json()).model_version);
      }
    });
    await poll(
      () => Promise.resolve(seen.size),
      (size) => size === 1,
    );
    await served.promote(second);
    await serves(served, second);
    await poll(
      () => Promise.resolve(seen.size),
      (size) => size === 2,
    );
    running = false;
    await Promise.all(clients);
    expect([...seen]).toEqual([String(first.version), String(second.version)]);
  });

  it('does not serve a bundle with a flipped byte: the previous model stays until the bundle is repaired', async () => {
    const former = served.host.current()?.version;
    const damaged = await served.registerTiny({ bias: 0.25 });
    const key = `${damaged.bundleKey}/${bundleFiles.onnx}`;
    const good = await served.api.objects.get(key);
    const bad = Uint8Array.from(good);
    bad[bad.length >> 1] = (bad[bad.length >> 1] ?? 0) ^ 1;
    await served.api.objects.put(key, bad);
    const { generation } = await served.promote(damaged);
    const report = await reported(({ error }) => error !== null);
    expect(report).toMatchObject({ generation, version: former?.version });
    expect(report?.error).toContain(bundleFiles.onnx);
    expect(await predictedBy()).toBe(String(former?.version));

    await served.api.objects.put(key, good);
    await serves(served, damaged);
    expect(await reported(({ error }) => error === null)).toMatchObject({ generation, version: damaged.version });
  });

  it('rolls back, downloading again a bundle that was damaged in the local cache', async () => {
    const former = served.host.current()?.version ?? first;
    const next = await served.registerTiny({ bias: -0.25 });
    const { idempotencyKey } = await served.promote(next);
    await serves(served, next);
    const cached = join(served.config.PERENNIAL_HOME, 'bundles', former.bundleSha256.slice(0, 16));
    expect(await readdir(cached)).toContain(bundleFiles.onnx);
    await writeFile(join(cached, bundleFiles.onnx), 'rotten');
    await served.registry.revertPromotion({ idempotencyKey, by: tester, reason: 'test' });
    await serves(served, former);
    expect((await predict()).status).toBe(200);
  });

  it('continues to predict and stays live while Postgres and the object store are unavailable', async () => {
    await Promise.all([postgres.pause(), objectStore.pause()]);
    try {
      expect((await predict()).status).toBe(200);
      expect((await fetch(`${served.url}/health/ready`)).status).toBe(200);
      expect(await problemOf(await fetch(`${served.url}/api/v1/pipelines`))).toEqual({
        status: 503,
        code: 'database_unavailable',
      });
      await poll(
        async () => healthSchema.parse(await (await fetch(`${served.url}/health`)).json()).dependencies,
        (dependencies) =>
          dependencies['postgres']?.status === 'down' && dependencies['object_store']?.status === 'down',
      );
    } finally {
      await Promise.all([postgres.resume(), objectStore.resume()]);
    }
    const next = await served.registerTiny({ bias: 0.75 });
    await served.promote(next);
    await serves(served, next);
  });

  it('closes its model when none is in Production', async () => {
    const alone = await startApi({
      ...postgres.environment,
      ...objectStore.environment,
      MODEL_NAME: 'another_model',
    });
    try {
      const version = await alone.registerTiny({ modelName: 'another_model' });
      const { idempotencyKey } = await alone.promote(version);
      await serves(alone, version);
      await alone.registry.revertPromotion({ idempotencyKey, by: tester, reason: 'test' });
      await serves(alone, null);
      const response = await fetch(`${alone.url}/predict`, { method: 'POST', body: formWith('file', image) });
      expect(await problemOf(response)).toEqual({ status: 503, code: 'no_model' });
    } finally {
      await alone.stop();
    }
  });
});

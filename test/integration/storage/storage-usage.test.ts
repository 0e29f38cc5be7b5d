import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { workflowTypes } from '../../../contracts/names.js';
import { storageViewSchema } from '../../../contracts/storage/http-storage.js';
import { poll } from '../../support/api-client.js';
import { plant, orphanKeys } from '../../support/removal-fixture.js';
import { startApi, type ServedApi } from '../../support/served-api.js';
import { startObjectStore, startPostgres, type TestService } from '../../support/services.js';

type StorageView = z.output<typeof storageViewSchema>;

async function usageOf({ url }: ServedApi): Promise<StorageView> {
  const response = await fetch(`${url}/api/v1/storage`);
  expect(response.status).toBe(200);
  return storageViewSchema.parse(await response.json());
}

describe('the space in use', () => {
  let services: TestService[];
  let served: ServedApi;

  beforeAll(async () => {
    const [postgres, objectStore] = await Promise.all([startPostgres(), startObjectStore()]);
    services = [postgres, objectStore];
    served = await startApi({ ...postgres.environment, ...objectStore.environment });
    const some = orphanKeys({ jobId: randomUUID(), dataset: 'flowers', model: 'm' });
    await plant(served.api.objects, [...some, 'mine/a.png']);
  });
  afterAll(async () => {
    await served.stop();
    await Promise.all(services.map((service) => service.stop()));
  });

  it('is measured by kind and place', async () => {
    const { items, total_bytes, free_bytes, disk_bytes, measured_at, orphans } = await usageOf(served);
    const inBucket = Object.fromEntries(
      items.filter(({ place }) => place === 'bucket').map(({ kind, objects, bytes }) => [kind, [objects, bytes]]),
    );
    expect(inBucket).toEqual({
      ...{ datasets: [4, 4], features: [1, 1], checkpoints: [1, 1], bundles: [2, 2], artifacts: [2, 2] },
      ...{ predictions: [4, 4], uploads: [2, 2], other: [1, 1] },
    });
    const tables = items.filter(({ place }) => place === 'database');
    expect(tables.map(({ kind, bytes }) => [kind, (bytes ?? 0) > 0])).toEqual([
      ['predictions', true],
      ['database', true],
    ]);
    expect(total_bytes).toBe(items.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0));
    expect(disk_bytes).toBeGreaterThanOrEqual(free_bytes ?? 0);
    expect(Date.parse(measured_at)).toBeLessThanOrEqual(Date.now());
    expect(orphans).toBeNull();
  });

  it('is a metric', async () => {
    const metrics = await poll(
      async () => (await fetch(`${served.url}/metrics`)).text(),
      (text) => text.includes('mlops_storage_bytes{'),
    );
    expect(metrics).toContain('mlops_storage_bytes{kind="datasets",place="bucket"} 4');
    expect(metrics).toContain('mlops_storage_objects{kind="other",place="bucket"} 1');
    expect(metrics).toMatch(/mlops_storage_bytes\{kind="predictions",place="database"\} [1-9]/);
    expect(metrics).not.toContain('mlops_storage_bytes{kind="temporal"');
    expect(metrics).toMatch(/mlops_storage_measured_timestamp_seconds [1-9]/);
  });

  it('is shown with the orphans that the last retention found', async () => {
    const { pipelines } = served.api.stores;
    const items = [{ kind: 'features', objects: 2, bytes: 5_000 }];
    for (const [runId, result] of Object.entries({
      old: { dryRun: false, removed: { remove_uploads: 1 } },
      new: { dryRun: true, removed: { remove_orphaned_objects: 2 }, orphans: items },
    })) {
      const workflow = workflowTypes.applyRetention;
      const named = { trigger: 'manual', modelName: null, dataset: null, steps: [] };
      await pipelines.open({ runId, workflowId: `retention-${runId}`, workflow, ...named });
      await pipelines.close(runId, { status: 'completed', result });
      const { orphans } = await usageOf(served);
      if (runId === 'old') expect(orphans).toBeNull();
      else expect(orphans).toMatchObject({ run_id: 'new', dry_run: true, items });
    }
  });
});

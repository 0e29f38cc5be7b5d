import { z } from 'zod';
import { createAuditStore } from '../../../../stores/audit/audit.js';
import { classFolders, writeFolder } from '../../../support/ingestion-fixture.js';
import { startLineageFixture, type LineageFixture } from '../../../support/lineage-fixture.js';
import { problemOf } from '../../../support/served-api.js';

describe('deletion of dataset versions', () => {
  let lineage: LineageFixture;
  beforeAll(async () => {
    lineage = await startLineageFixture();
  });
  afterAll(() => lineage.stop());

  const get = (path: string): Promise<Response> => fetch(lineage.served.url + path);
  const remove = (path: string): Promise<Response> => fetch(lineage.served.url + path, { method: 'DELETE' });

  it('deletes a dataset version that no run was trained on, and never reuses its number', async () => {
    const { ingestion } = lineage;
    const ingest = async (firstImage: number): Promise<number> => {
      const files = await classFolders({ a: 4, b: 4 }, firstImage);
      return (await ingestion.ingest({ kind: 'folder', path: writeFolder(source, files) }, 'spare')).version;
    };
    const source = ingestion.folder({});
    const [first, second] = [await ingest(5_000), await ingest(6_000)];
    const path = (number: number): string => `/api/v1/datasets/spare/versions/${number}`;
    expect(await problemOf(await remove(path(second)))).toEqual({ status: 409, code: 'conflict' });
    const objects = lineage.served.api.objects;
    expect(await objects.head(`train/spare/${first}.json`)).not.toBeNull();
    expect((await remove(path(first))).status).toBe(200);
    expect(await objects.head(`train/spare/${first}.json`)).toBeNull();
    expect(await problemOf(await remove(path(first)))).toEqual({ status: 404, code: 'not_found' });
    expect(await problemOf(await get(path(first)))).toMatchObject({ status: 404 });
    expect((await get(path(second))).status).toBe(200);
    const audit = await createAuditStore(lineage.served.api.database).list({
      limit: 10,
      action: 'dataset_version.delete',
    });
    expect(audit.items).toMatchObject([{ subject: `datasets/spare/versions/${first}`, actor: 'anonymous' }]);
    expect(await ingest(7_000)).toBe(second + 1);
  });

  it('refuses to delete a version that runs were trained on, and names the runs', async () => {
    const { ingestion } = lineage;
    await ingestion.ingest(
      { kind: 'folder', path: ingestion.folder(await classFolders({ a: 4, b: 4 }, 8_000)) },
      'used',
    );
    const trained = await lineage.trainOn('used');
    await ingestion.ingest(
      { kind: 'folder', path: ingestion.folder(await classFolders({ a: 4, b: 4 }, 9_000)) },
      'used',
    );
    const response = await remove('/api/v1/datasets/used/versions/1');
    expect(response.status).toBe(409);
    const { code, detail } = z.object({ code: z.string(), detail: z.string() }).parse(await response.json());
    expect(code).toBe('referenced');
    expect(detail).toContain(`version ${trained.version} of ${trained.modelName}`);
    expect(detail).toContain(trained.runId);
  });
});

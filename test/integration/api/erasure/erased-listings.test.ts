import { z } from 'zod';
import { datasetVersionViewSchema } from '../../../../contracts/datasets/http-datasets.js';
import { rawImageKey, splitManifestKey } from '../../../../stores/objects/object-keys.js';
import { erase } from '../../../../stores/erasure/run-erasure.js';
import { classFolders } from '../../../support/ingestion-fixture.js';
import { startLineageFixture, type LineageFixture } from '../../../support/lineage-fixture.js';
import { sha256Of } from '../../../support/training-fixtures.js';

const listingSchema = z.array(z.object({ md5: z.string(), relpath: z.string() }));
const manifestSchema = z.object({ images: z.array(z.object({ sha256: z.string() })) });

describe('the DVC listing and the manifests of a version with an erased image', () => {
  let lineage: LineageFixture;
  beforeAll(async () => {
    lineage = await startLineageFixture();
  });
  afterAll(() => lineage.stop());

  const by = { name: 'the data officer', via: 'system', from: 'a test', requestId: null } as const;
  const versionOf = async (dataset: string): Promise<z.infer<typeof datasetVersionViewSchema>> => {
    const response = await fetch(`${lineage.served.url}/api/v1/datasets/${dataset}/versions/1`);
    return datasetVersionViewSchema.parse(await response.json());
  };
  const eraseImage = (id: string): Promise<Response> =>
    fetch(`${lineage.served.url}/api/v1/erasures`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'image', id, reason: 'asked' }),
    });
  const read = async (key: string): Promise<unknown> =>
    JSON.parse(Buffer.from(await lineage.served.api.objects.get(key)).toString());
  const listed = async (md5: string): Promise<string[]> =>
    listingSchema.parse(await read(rawImageKey(`${md5}.dir`))).map(({ relpath }) => relpath);
  const inManifests = async (dataset: string): Promise<string[]> => {
    const sides = await Promise.all(
      (['train', 'validation', 'test'] as const).map((side) => read(splitManifestKey(side, dataset, 1))),
    );
    return sides.flatMap((side) => manifestSchema.parse(side).images.map(({ sha256 }) => sha256));
  };
  const ingest = async (dataset: string, firstImage: number): Promise<string[]> => {
    const files = await classFolders({ a: 5, b: 5 }, firstImage);
    const path = lineage.ingestion.folder(files);
    await lineage.ingestion.ingest({ kind: 'folder', path }, dataset);
    return Object.values(files).map(sha256Of);
  };
  const expectWithout = async (dataset: string, gone: readonly string[], formerMd5: string): Promise<void> => {
    const { api } = lineage.served;
    const { dvc_md5: md5, statistics } = await versionOf(dataset);
    expect(md5).not.toBe(formerMd5);
    const paths = await listed(md5);
    expect(paths).toHaveLength(10 - gone.length);
    const manifested = await inManifests(dataset);
    expect(manifested).toHaveLength(10 - gone.length);
    for (const sha256 of gone) {
      expect(paths.join()).not.toContain(sha256);
      expect(manifested).not.toContain(sha256);
    }
    for (const { md5: image } of listingSchema.parse(await read(rawImageKey(`${md5}.dir`)))) {
      expect(await api.objects.head(rawImageKey(image))).not.toBeNull();
    }
    expect(await api.objects.head(rawImageKey(`${formerMd5}.dir`))).toBeNull();
    expect(statistics.images).toBe(10 - gone.length);
  };

  it('name it no more, and the version names the new listing', async () => {
    const [first = '', second = ''] = await ingest('listed', 20_000);
    const before = (await versionOf('listed')).dvc_md5;
    expect(await (await eraseImage(first)).json()).toMatchObject({ status: 'done', pending_objects: 0 });
    await expectWithout('listed', [first], before);
    const between = (await versionOf('listed')).dvc_md5;
    await eraseImage(second);
    await expectWithout('listed', [first, second], between);
    const settled = (await versionOf('listed')).dvc_md5;
    await eraseImage(second);
    expect((await versionOf('listed')).dvc_md5).toBe(settled);
  });

  it('are written once the object store is available again', async () => {
    const [first = ''] = await ingest('interrupted', 21_000);
    const before = (await versionOf('interrupted')).dvc_md5;
    await lineage.ingestion.objectServer.pause();
    try {
      expect((await eraseImage(first)).status).toBe(202);
    } finally {
      await lineage.ingestion.objectServer.resume();
    }
    expect(await (await eraseImage(first)).json()).toMatchObject({ status: 'done' });
    await expectWithout('interrupted', [first], before);
  });

  it('are right after erasures of several images at once, and a process that ended between its steps', async () => {
    const [first = '', second = '', third = ''] = await ingest('crowded', 22_000);
    const before = (await versionOf('crowded')).dvc_md5;
    const { stores, objects, publisher } = lineage.served.api;
    const { id } = await stores.erasures.begin({ kind: 'image', subject: first, reason: 'asked' }, by);
    // The process that began the erasure ended here. Its listing waits until the version is published anew.
    expect(await stores.erasures.pending(id, 10)).toHaveLength(1);
    await Promise.all([second, third].map(eraseImage));
    await erase({ ...stores, objects, publisher }, { kind: 'image', subject: first, reason: 'asked' }, by);
    await expectWithout('crowded', [first, second, third], before);
    expect(await stores.erasures.unfinished()).toEqual([]);
  });
});

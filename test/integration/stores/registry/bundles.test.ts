import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles } from '../../../../contracts/registry/bundle.js';
import { verifyBundle } from '../../../../model/serving/verify-bundle.js';
import { fetchBundle, keepBundle, publishBundle, type BundleAddress } from '../../../../stores/registry/bundles.js';
import type { ObjectStore } from '../../../../stores/objects/object-store.js';
import { startBucket, type TestBucket } from '../../../support/bucket.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';
import { flipByte, writeTinyBundle } from '../../../support/tiny-bundle.js';

const folder = temporaryFolder();
let bucket: TestBucket;
let objects: ObjectStore;

beforeAll(async () => {
  bucket = await startBucket();
  ({ objects } = bucket);
});
afterAll(() => bucket.stop());

async function publishNew(bias: number): Promise<BundleAddress> {
  const source = join(folder, 'sources', String(bias));
  await writeTinyBundle(source, { bias });
  return publishBundle(objects, source, 'tiny');
}

describe('bundles in the object store', () => {
  it('are returned complete, under a key of their content', async () => {
    const address = await publishNew(0);
    expect(address.bundleKey).toBe(`models/tiny/${address.bundleSha256.slice(0, 16)}`);
    const fetched = await fetchBundle(objects, address, join(folder, 'whole'));
    expect((await verifyBundle(fetched)).modelName).toBeTruthy();
  });

  it('are refused when the stored manifest is not the registered one, and leave nothing behind', async () => {
    const address = await publishNew(1);
    await objects.put(`${address.bundleKey}/${bundleFiles.manifest}`, Buffer.from('{}'));
    const cache = join(folder, 'refused');
    await expect(fetchBundle(objects, address, cache)).rejects.toMatchObject({ code: 'bundle_invalid' });
    expect(await readdir(cache).catch(() => [])).toEqual([]);
  });

  it('are fetched again when the manifest of the local copy was changed', async () => {
    const address = await publishNew(3);
    const fetched = await fetchBundle(objects, address, join(folder, 'changed'));
    await flipByte(fetched, bundleFiles.manifest);
    await verifyBundle(await fetchBundle(objects, address, join(folder, 'changed')));
  });

  it('are not downloaded where they were made', async () => {
    const source = join(folder, 'sources', 'kept');
    const cache = join(folder, 'kept');
    await writeTinyBundle(source, { bias: 5 });
    const address = await publishBundle(objects, source, 'tiny');
    await keepBundle(source, address, cache);
    const unreachable = { ...objects, get: () => Promise.reject(new Error('It was downloaded.')) };
    await verifyBundle(await fetchBundle(unreachable, address, cache));
    await writeTinyBundle(source, { bias: 5 });
    await keepBundle(source, address, cache);
    expect(await readdir(cache)).toHaveLength(1);
  });

  it('are downloaded once for two concurrent callers', async () => {
    const address = await publishNew(2);
    const cache = join(folder, 'twice');
    const [one, two] = await Promise.all([fetchBundle(objects, address, cache), fetchBundle(objects, address, cache)]);
    expect(one).toBe(two);
    await verifyBundle(one);
    expect(await readdir(cache)).toHaveLength(1);
  });

  it('are cached locally only while they are among the six used last', async () => {
    const cache = join(folder, 'few');
    const addresses: BundleAddress[] = [];
    for (let bias = 10; bias < 18; bias++) {
      addresses.push(await publishNew(bias));
      for (const address of addresses.slice(0, 1).concat(addresses.slice(-1)))
        await fetchBundle(objects, address, cache);
    }
    const cached = await readdir(cache);
    expect(cached).toHaveLength(6);
    expect(cached).toContain(addresses[0]?.bundleSha256.slice(0, 16));
  });
});

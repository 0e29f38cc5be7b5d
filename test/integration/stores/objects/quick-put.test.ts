import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { loadConfig } from '../../../../platform/config.js';
import { createObjectStore, type ObjectStore } from '../../../../stores/objects/object-store.js';
import { createQuickPut, type QuickPut } from '../../../../stores/objects/quick-put.js';
import { startBucket, type TestBucket } from '../../../support/bucket.js';

let bucket: TestBucket;
let objects: ObjectStore;
const body = Buffer.from('bytes of an image');

beforeAll(async () => {
  bucket = await startBucket();
  ({ objects } = bucket);
});
afterAll(() => bucket.stop());

function quickPut(endpoint: string, environment: Record<string, string> = {}): QuickPut {
  const quick = createQuickPut({
    ...loadConfig({ ...bucket.server.environment, ...environment }),
    S3_ENDPOINT: endpoint,
  });
  if (!quick) throw new Error('There is no quick upload for this configuration.');
  return quick;
}

async function withServer(fake: Server, work: (endpoint: string) => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = fake.address();
  try {
    await work(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`);
  } finally {
    fake.closeAllConnections();
    fake.close();
  }
}

describe('the quick upload', () => {
  it('is accepted by the server, whatever characters the key has', async () => {
    const quick = quickPut(bucket.server.endpoint);
    for (const key of ['raw/files/md5/ab/cdef', "uploads/a b+c/ü(1)!*'~&=?.jpg", 'leer']) {
      expect(await quick.put(key, key === 'leer' ? new Uint8Array() : body, 'image/jpeg')).toBe(true);
      expect(Buffer.from(await objects.get(key))).toEqual(key === 'leer' ? Buffer.alloc(0) : body);
    }
    quick.close();
  });

  it('leaves every failure to the S3 client, which names it', async () => {
    const wrongKey = { S3_SECRET_ACCESS_KEY: 'another' };
    expect(await quickPut(bucket.server.endpoint, wrongKey).put('a', body, 'image/jpeg')).toBe(false);
    expect(await quickPut('http://127.0.0.1:9').put('a', body, 'image/jpeg')).toBe(false);
    const store = createObjectStore({
      ...loadConfig({ ...bucket.server.environment, ...wrongKey }),
      S3_ENDPOINT: bucket.server.endpoint,
    });
    await expect(store.put('a', body)).rejects.toMatchObject({ code: 'object_store_refused' });
    store.close();
  });

  it('says that the server does not answer, without a second try', async () => {
    let requests = 0;
    const silent = createServer(() => {
      requests += 1;
    });
    await withServer(silent, async (endpoint) => {
      const store = createObjectStore({
        ...loadConfig({ ...bucket.server.environment, S3_TIMEOUT_MS: '500' }),
        S3_ENDPOINT: endpoint,
      });
      await expect(store.put('a', body)).rejects.toMatchObject({ code: 'object_store_unavailable' });
      store.close();
    });
    expect(requests).toBe(1);
  });
});

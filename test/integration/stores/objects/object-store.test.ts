import { createServer, type Server } from 'node:http';
import {
  existsSync,
  fstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concurrently } from '../../../../platform/concurrently.js';
import { errorTable } from '../../../../contracts/errors.js';
import { loadConfig } from '../../../../platform/config.js';
import { createObjectStore, type ObjectStore } from '../../../../stores/objects/object-store.js';
import { startBucket, type TestBucket } from '../../../support/bucket.js';

/** One suite for every S3 server: the environment decides which one is started. */
let bucket: TestBucket;
let server: TestBucket['server'];
let objects: ObjectStore;
const folder = mkdtempSync(join(tmpdir(), 'perennial-test-objects-'));

beforeAll(async () => {
  bucket = await startBucket();
  ({ server, objects } = bucket);
});
afterAll(async () => {
  await bucket.stop();
  rmSync(folder, { recursive: true, force: true });
});

function storeAt(endpoint: string, environment: Record<string, string> = {}): ObjectStore {
  return createObjectStore({ ...loadConfig({ ...server.environment, ...environment }), S3_ENDPOINT: endpoint });
}

describe('the object store', () => {
  it('creates its bucket once', async () => {
    await objects.ensureBucket();
    const other = storeAt(server.endpoint, { S3_BUCKET: 'another' });
    await Promise.all([other.ensureBucket(), other.ensureBucket(), other.ensureBucket()]);
    expect(await other.head('x')).toBeNull();
    other.close();
  });

  it('returns the stored bytes, also zero bytes, under any name', async () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index % 251);
    for (const [key, body] of [
      ['plain/a.bin', bytes],
      ['empty', new Uint8Array()],
      ['names/spaces and ünïcode +&?#%/写真.jpg', bytes.subarray(0, 10)],
    ] as const) {
      await objects.put(key, body);
      expect(Buffer.from(await objects.get(key)).equals(Buffer.from(body))).toBe(true);
      expect(await objects.head(key)).toEqual({ sizeBytes: body.length });
    }
  });

  it('streams files both ways', async () => {
    const content = Buffer.alloc(12_000_000, 'perennial');
    writeFileSync(join(folder, 'up'), content);
    await objects.putFile('files/large', join(folder, 'up'));
    await objects.getToFile('files/large', join(folder, 'down'));
    expect(readFileSync(join(folder, 'down')).equals(content)).toBe(true);
  });

  it('overwrites, lists and deletes by prefix past a page, and deletes present and missing keys', async () => {
    const keys = Array.from({ length: 1_050 }, (_, index) => `many/${String(index)}`);
    await concurrently(keys, 50, (key) => objects.put(key, Buffer.from('x')));
    await objects.put('many/0', Buffer.from('longer'));
    const listed = new Map<string, number>();
    for await (const { key, sizeBytes } of objects.list('many/')) listed.set(key, sizeBytes);
    expect(listed.size).toBe(1_050);
    expect(listed.get('many/0')).toBe(6);
    await objects.delete('many/0');
    await objects.delete('many/0');
    expect(await objects.head('many/0')).toBeNull();
    await objects.put('many-others/0', Buffer.from('beside it'));
    await objects.deletePrefix('many/');
    for await (const { key } of objects.list('many/')) throw new Error(`${key} is left`);
    expect(await objects.head('many-others/0')).toEqual({ sizeBytes: 9 });
    await objects.deletePrefix('many/');
  });

  it('deletes many by name: only these, present or not, under any name', async () => {
    const keys = ['some/a', 'some/b & <c>', 'some/ünïcode +&?#%/写真.jpg'];
    for (const key of [...keys, 'some/other']) await objects.put(key, Buffer.from('x'));
    await objects.deleteMany([...keys, 'some/missing']);
    await objects.deleteMany([]);
    const left: string[] = [];
    for await (const { key } of objects.list('some/')) left.push(key);
    expect(left).toEqual(['some/other']);
  });

  it('throws not_found for a missing key and leaves no file behind', async () => {
    await expect(objects.get('missing')).rejects.toMatchObject({ code: 'not_found' });
    await expect(objects.getToFile('missing', join(folder, 'missing'))).rejects.toMatchObject({ code: 'not_found' });
    expect(readdirSync(folder).filter((name) => name.startsWith('missing'))).toEqual([]);
  });

  it('throws object_store_refused, which is not retryable, for wrong credentials, and names the settings', async () => {
    for (const wrong of [{ S3_SECRET_ACCESS_KEY: 'wrong-secret' }, { S3_ACCESS_KEY_ID: 'nobody' }]) {
      const stranger = storeAt(server.endpoint, wrong);
      const refused = { code: 'object_store_refused' };
      const read = stranger.get('plain/a.bin');
      await expect(read).rejects.toMatchObject(refused);
      await expect(read).rejects.toThrow(/S3_ACCESS_KEY_ID.*S3_SECRET_ACCESS_KEY/);
      await expect(stranger.ensureBucket()).rejects.toMatchObject(refused);
      await expect(stranger.deleteMany(['plain/a.bin'])).rejects.toMatchObject(refused);
      stranger.close();
    }
    expect(errorTable.object_store_refused.retryable).toBe(false);
  });

  it('leaves no file open whose upload failed before it was read', async () => {
    const closed = await listen(createServer());
    await new Promise((resolve) => closed.server.close(resolve));
    const store = storeAt(closed.url);
    const path = join(folder, 'unread');
    writeFileSync(path, 'content');
    await expect(store.putFile('any', path)).rejects.toMatchObject({ code: 'object_store_unavailable' });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(openFilesAt(path)).toBe(0);
    store.close();
  });

  it('throws object_store_unavailable while the server is unavailable, and works again afterwards', async () => {
    await server.pause();
    const away = { code: 'object_store_unavailable' };
    await expect(objects.put('away', Buffer.from('x'))).rejects.toMatchObject(away);
    await expect(objects.get('plain/a.bin')).rejects.toMatchObject(away);
    await expect(objects.head('plain/a.bin')).rejects.toMatchObject(away);
    await expect(objects.ensureBucket()).rejects.toMatchObject(away);
    await expect(objects.deleteMany(['away'])).rejects.toMatchObject(away);
    await server.resume();
    await objects.put('away', Buffer.from('x'));
    expect(await objects.head('away')).toEqual({ sizeBytes: 1 });
  });

  it('gives up on a server that does not answer after one wait, also when the answer stalls in the middle', async () => {
    let requests = 0;
    const silent = await listen(
      createServer((request, response) => {
        requests += 1;
        request.resume();
        if (request.url?.includes('half') !== true) return;
        response.writeHead(200, { 'content-length': '1000' });
        response.write('half');
      }),
    );
    const store = storeAt(silent.url, { S3_TIMEOUT_MS: '300' });
    const path = join(folder, 'large');
    writeFileSync(path, Buffer.alloc(3_000_000));
    for (const work of [
      () => store.put('any', Buffer.from('x')),
      () => store.putFile('any', path),
      () => store.get('any'),
      () => store.get('half'),
      () => store.getToFile('half', join(folder, 'stalled')),
      () => store.digest('half'),
      () => store.head('any'),
      () => store.deleteMany(['any']),
      () => store.ensureBucket(),
    ]) {
      requests = 0;
      await expect(work()).rejects.toMatchObject({ code: 'object_store_unavailable' });
      expect(requests).toBe(1);
    }
    store.close();
    silent.server.closeAllConnections();
    silent.server.close();
  }, 60_000);

  it.each(['content-length', 'chunked'])(
    'takes no object whose %s answer is cut off for a whole one',
    async (framing) => {
      const cut = await listen(
        createServer((_request, response) => {
          response.writeHead(200, framing === 'chunked' ? {} : { 'content-length': '1000' });
          response.write('half', () => response.destroy());
        }),
      );
      const store = storeAt(cut.url);
      await expect(store.get('any')).rejects.toMatchObject({ code: 'object_store_unavailable' });
      await expect(store.digest('any')).rejects.toMatchObject({ code: 'object_store_unavailable' });
      store.close();
      cut.server.close();
    },
  );

  it('leaves no file when a download breaks off in the middle', async () => {
    const broken = await listen(
      createServer((_request, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('half');
        setTimeout(() => response.destroy(), 20);
      }),
    );
    const store = storeAt(broken.url);
    const path = join(folder, 'half');
    await expect(store.getToFile('any', path)).rejects.toMatchObject({ code: 'object_store_unavailable' });
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.startsWith('half'))).toEqual([]);
    store.close();
    broken.server.close();
  });
});

/** File descriptors of this process that are open on the file. */
function openFilesAt(path: string): number {
  const { ino, dev } = statSync(path);
  return readdirSync('/dev/fd').filter((name) => {
    try {
      const open = fstatSync(Number(name));
      return open.ino === ino && open.dev === dev;
    } catch {
      return false;
    }
  }).length;
}

async function listen(httpServer: Server): Promise<{ server: Server; url: string }> {
  await new Promise<void>((resolve) => httpServer.listen(0, '127.0.0.1', resolve));
  const address = httpServer.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server: httpServer, url: `http://127.0.0.1:${String(address.port)}` };
}

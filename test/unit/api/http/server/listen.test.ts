import { EventEmitter, once } from 'node:events';
import { Agent, get, ServerResponse, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { listen, type Listening } from '../../../../../api/http/server/listen.js';

describe('stopping a listener', () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });

  afterAll(() => agent.destroy());

  it('answers a request on an idle connection, and closes the connection with it', async () => {
    const listening = await listen((_request, response) => response.end('here'), '127.0.0.1', 0);
    expect((await ask(listening.port)).headers.connection).toBe('keep-alive');
    const stopped = listening.stop(10_000);
    const last = await ask(listening.port);
    expect({ status: last.statusCode, connection: last.headers.connection }).toEqual({
      status: 200,
      connection: 'close',
    });
    await stopped;
    await expect(ask(listening.port)).rejects.toThrow('ECONNREFUSED');
  });

  it('closes the connections of running requests with their responses', async () => {
    const requests = new EventEmitter();
    const listening = await listen((_request, response) => requests.emit('one', response), '127.0.0.1', 0);
    const come = once(requests, 'one');
    const asked = ask(listening.port);
    const [response] = z.tuple([z.instanceof(ServerResponse)]).parse(await come);
    const stopped = listening.stop(10_000);
    response.end('here');
    expect((await asked).headers.connection).toBe('close');
    await stopped;
  });

  it('answers or refuses new clients meanwhile, and resets none', async () => {
    for (let round = 0; round < 5; round++) {
      const listening = await listen((_request, response) => response.end('here'), '127.0.0.1', 0);
      const asked: Promise<string>[] = [];
      const outcomes = new Set<string>();
      const ask = (): void => {
        const outcome = askAnew(listening.port);
        asked.push(outcome);
        void outcome.then((each) => outcomes.add(each));
      };
      // Clients also connect in the event-loop turn in which the listener closes and has not accepted them yet.
      const coming = setInterval(() => {
        ask();
        ask();
      }, 1);
      while (!outcomes.has('answered')) await sleep(1);
      await listening.stop(2_000);
      while (!outcomes.has('ECONNREFUSED')) await sleep(1);
      clearInterval(coming);
      await Promise.all(asked);
      expect(outcomes).toEqual(new Set(['answered', 'ECONNREFUSED']));
    }
  });

  it('accepts connections for the whole drain delay, even after a time without any', async () => {
    const listening = await listen((_request, response) => response.end('here'), '127.0.0.1', 0);
    const stopped = listening.stop(10_000, 2_000).then(() => 'stopped');
    expect(await Promise.race([stopped, sleep(500)])).toBeUndefined();
    expect(await askAnew(listening.port)).toBe('answered');
    await stopped;
    expect(await askAnew(listening.port)).toBe('ECONNREFUSED');
  });

  it('lets a slow reader receive all of a response that was written before', async () => {
    const length = 30_000_000;
    const large = Buffer.alloc(length);
    const listening = await listen(
      ({ url }, response) => response.end(url === '/large' ? large : 'here'),
      '127.0.0.1',
      0,
    );
    const socket = connect(listening.port, '127.0.0.1');
    socket.write('GET /large HTTP/1.1\r\nHost: here\r\n\r\n');
    await once(socket, 'readable');
    const stopped = listening.stop(10_000);
    await refused(listening);
    let bytes = 0;
    for await (const chunk of socket) bytes += Buffer.from(chunk).length;
    expect(bytes).toBeGreaterThan(length);
    await stopped;
  });

  function ask(port: number): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = get({ port, host: '127.0.0.1', agent }, (response) => {
        response.resume().on('end', () => resolve(response));
      });
      request.on('error', reject);
    });
  }
});

/** Sends a request on a new connection; returns `answered` or the error, with `after connecting` if it was connected. */
function askAnew(port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    let isConnected = false;
    const socket: Socket = connect(port, '127.0.0.1', () => {
      isConnected = true;
      socket.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
    });
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('end', () => resolve(/close\r\n[^]*here$/i.test(text) ? 'answered' : `cut off after “${text}”`));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      resolve(`${error.code ?? ''}${isConnected ? ' after connecting' : ''}`),
    );
    // Before the shutdown the server leaves connections open: the client closes them.
    socket.on('data', () => {
      if (text.endsWith('here') && /keep-alive/.test(text)) resolve('answered');
      if (text.endsWith('here')) socket.end();
    });
  });
}

async function refused({ port }: Listening): Promise<void> {
  while ((await askAnew(port)) !== 'ECONNREFUSED') await sleep(10);
}

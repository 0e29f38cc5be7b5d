import { Agent, get, type IncomingMessage } from 'node:http';
import { listen } from '../../../api/listen.js';

describe('stopping to listen', () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });

  afterAll(() => agent.destroy());

  it('answers what comes on a connection that was kept, and says that it was the last', async () => {
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

  function ask(port: number): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = get({ port, host: '127.0.0.1', agent }, (response) => {
        response.resume().on('end', () => resolve(response));
      });
      request.on('error', reject);
    });
  }
});

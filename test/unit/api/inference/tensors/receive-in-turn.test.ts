import { once } from 'node:events';
import express from 'express';
import { createServer, request as send, type Server } from 'node:http';
import { errorCodeOf } from '../../../../../contracts/errors.js';
import { receiveInTurn } from '../../../../../api/inference/tensors/receive-in-turn.js';

describe('a body that waits for its slot', () => {
  let server: Server;
  let ends: Promise<unknown>[];
  let admitted: number;

  beforeEach(async () => {
    [ends, admitted] = [[], 0];
    const app = express();
    app.post('/:client', (request, response) => {
      if (request.params.client === 'gone') request.once('end', () => request.socket.destroy());
      const received = receiveInTurn(request, 1_000, () => (admitted += 1));
      ends.push(received.then(({ body }) => body.toString(), errorCodeOf).finally(() => response.end()));
    });
    server = createServer(app).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => server.close());

  async function post(client: string): Promise<void> {
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const request = send({ host: '127.0.0.1', port, path: `/${client}`, method: 'POST', agent: false });
    request.on('response', (answer) => answer.resume());
    request.end('body');
    await once(request, 'close').catch(() => undefined);
  }

  it('is passed to its request handler', async () => {
    await post('patient');
    expect(await Promise.all(ends)).toEqual(['body']);
    expect(admitted).toBe(2);
  });

  it('is not parsed when its client has disconnected meanwhile', async () => {
    await post('gone');
    expect(await Promise.all(ends)).toEqual(['bad_request']);
    expect(admitted).toBe(1);
  });
});

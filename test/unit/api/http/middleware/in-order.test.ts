import express, { type RequestHandler } from 'express';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { inOrder } from '../../../../../api/http/middleware/in-order.js';

/** The answer of an application whose middleware these handlers are, with what its error handler received. */
async function answerOf(...handlers: RequestHandler[]): Promise<string> {
  const app = express();
  app.use(inOrder(...handlers));
  app.use((_request, response) => void response.end('passed'));
  const onError: express.ErrorRequestHandler = (error, _request, response, next) => {
    if (response.headersSent) next(error);
    else response.end(String(error));
  };
  app.use(onError);
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const text = await (await fetch(`http://127.0.0.1:${port}/`)).text();
  server.closeAllConnections();
  server.close();
  return text;
}

describe('handlers in order', () => {
  it('run one after the other, and then what follows', async () => {
    const seen: string[] = [];
    const note =
      (name: string): RequestHandler =>
      (_request, _response, next) => {
        seen.push(name);
        next();
      };
    expect(await answerOf(note('one'), note('two'))).toBe('passed');
    expect(seen).toEqual(['one', 'two']);
  });

  it('end with the first that fails, whether it throws or passes an error on', async () => {
    const pass: RequestHandler = (_request, _response, next) => next();
    const never: RequestHandler = () => {
      throw new Error('not reached');
    };
    const throws: RequestHandler = () => {
      throw new Error('thrown');
    };
    expect(await answerOf(pass, throws, never)).toBe('Error: thrown');
    expect(await answerOf((_request, _response, next) => next(new Error('passed on')), never)).toBe('Error: passed on');
  });
});

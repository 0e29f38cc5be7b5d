import express from 'express';
import { messageClasses } from '../../../../../api/http/server/message-classes.js';
import { listen, type Listening } from '../../../../../api/http/server/listen.js';

describe('the classes of requests and responses', () => {
  let listening: Listening | null = null;
  afterEach(() => listening?.stop(1_000));

  it('have the prototypes that Express would give them, so that it changes none', async () => {
    const app = express();
    let isKept = false;
    app.get('/', (request, response) => {
      isKept = Object.getPrototypeOf(request) === request.constructor.prototype;
      response.json({ ip: request.ip !== undefined });
    });
    listening = await listen(app, '127.0.0.1', 0);
    const answer = await fetch(`http://127.0.0.1:${listening.port}/`);
    expect(await answer.json()).toEqual({ ip: true });
    expect(isKept).toBe(true);
  });

  it("are Node's own for a handler without prototypes", () => {
    expect(messageClasses(() => undefined)).toEqual({});
  });
});

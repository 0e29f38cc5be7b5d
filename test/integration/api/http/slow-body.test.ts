import express from 'express';
import { request as httpRequest } from 'node:http';
import { listen } from '../../../../api/http/server/listen.js';
import { answerProblems } from '../../../../api/http/middleware/answer-problems.js';
import { limitTime } from '../../../../api/http/middleware/limit-time.js';
import { readBody } from '../../../../api/http/body/read-body.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { createLogger } from '../../../../platform/logging.js';
import { answersIn, speakRaw } from '../../../support/raw-request.js';

describe('a body that arrives slowly', () => {
  it('is ended with 408, so that it holds no memory that other requests need', async () => {
    const app = express();
    app.post('/', async (request, response) => {
      response.json({ bytes: (await readBody(request, 1_000, { bytes: 100, everyMs: 1_000 })).length });
    });
    app.use(answerProblems(createLogger('test', 'silent')));
    const listening = await listen(app, '127.0.0.1', 0);
    const url = `http://127.0.0.1:${listening.port}/`;
    try {
      const whole = await fetch(url, { method: 'POST', body: 'x'.repeat(1_000) });
      expect(await whole.json()).toEqual({ bytes: 1_000 });
      const answer = await new Promise<string>((resolve, reject) => {
        const request = httpRequest(url, { method: 'POST', headers: { 'content-length': '1000' } }, (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('error', reject).once('end', () => resolve(text));
          // Half an answer waits for the rest of the body.
          request.end('x'.repeat(993));
        });
        request.on('error', reject).write('trickle');
      });
      expect(problemSchema.parse(JSON.parse(answer))).toMatchObject({ status: 408, code: 'body_timeout' });
    } finally {
      await listening.stop(1_000);
    }
  });

  it('is ended with 408 as JSON when its client sends less than announced', async () => {
    const app = express();
    app.post('/', limitTime(200), express.json(), (_request, response) => {
      response.json('whole');
    });
    app.use(answerProblems(createLogger('test', 'silent')));
    const listening = await listen(app, '127.0.0.1', 0);
    const head = 'POST / HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n';
    try {
      const heard = await speakRaw(listening.port, `${head}{"a": 1}`, { isEnough: (text) => text.endsWith('}') });
      const [answer] = answersIn(heard);
      expect([answer?.status, answer?.headers.get('connection')]).toEqual([408, 'close']);
      expect(problemSchema.parse(JSON.parse(answer?.body ?? '')).code).toBe('body_timeout');
      const headers = { 'content-type': 'application/json' };
      expect(
        await (await fetch(`http://127.0.0.1:${listening.port}/`, { method: 'POST', headers, body: '{}' })).json(),
      ).toBe('whole');
    } finally {
      await listening.stop(1_000);
    }
  });
});

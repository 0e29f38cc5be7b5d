import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express, { type RequestHandler } from 'express';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { answerProblems } from '../../../../api/http/middleware/answer-problems.js';
import { closeUnreadBodies } from '../../../../api/http/middleware/drain.js';
import { receiveJson } from '../../../../api/http/middleware/receive-json.js';
import { receiveFiles } from '../../../../api/http/body/multipart.js';
import { readBody } from '../../../../api/http/body/read-body.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { createLogger } from '../../../../platform/logging.js';
import { answersIn, formEnd, formPart, multipartHeaders, postRaw, speakRaw } from '../../../support/raw-request.js';
import { roomyQuota } from '../../../support/storage.js';

const pace = { bytes: 100, everyMs: 1_000 };

describe('a body that arrives slowly', () => {
  let listening: Listening | null = null;
  async function serve(...handlers: RequestHandler[]): Promise<number> {
    const app = express();
    app.all('/', ...handlers);
    app.use(answerProblems(createLogger('test', 'silent')));
    listening = await listen(app, '127.0.0.1', 0);
    return listening.port;
  }
  afterEach(() => listening?.stop(1_000));

  it('is ended with 408, so that it holds no memory that other requests need', async () => {
    const port = await serve(async (request, response) => {
      response.json({ bytes: (await readBody(request, 1_000, pace)).length });
    });
    const url = `http://127.0.0.1:${port}/`;
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
  });

  it('is ended with 408 as JSON when its client sends less than announced', async () => {
    const port = await serve(receiveJson(1_000, { bytes: 100, everyMs: 200 }), (request, response) => {
      response.json(request.body);
    });
    const head = 'POST / HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n';
    const heard = await speakRaw(port, `${head}{"a": 1}`, { isEnough: (text) => text.endsWith('}') });
    const [answer] = answersIn(heard);
    expect([answer?.status, answer?.headers.get('connection')]).toEqual([408, 'close']);
    expect(problemSchema.parse(JSON.parse(answer?.body ?? '')).code).toBe('body_timeout');
    const headers = { 'content-type': 'application/json' };
    expect(await (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body: '[1]' })).json()).toEqual([
      1,
    ]);
  });

  it('is ended with 408 as a form, and its files are removed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'perennial-form-'));
    const limits = { files: 10 };
    const options = { uploadFolder: folder, quota: roomyQuota, maxBytes: 100_000, limits, noFile: 'Send files.', pace };
    const ends: Promise<void>[] = [];
    const port = await serve(async (request, response) => {
      const received = receiveFiles(request, response, options, (files) => {
        response.json({ files: files.length });
        return Promise.resolve();
      });
      ends.push(received.catch(() => undefined));
      await received;
    });
    const part = Buffer.from(formPart('files', new Uint8Array(500), 'a.jpg')).toString('latin1');
    const head = `POST / HTTP/1.1\r\nHost: here\r\nContent-Type: ${multipartHeaders['content-type']}\r\nContent-Length: 5000\r\n\r\n`;
    const heard = await speakRaw(port, head + part, { isEnough: (text) => text.endsWith('}') });
    const [answer] = answersIn(heard);
    expect([answer?.status, problemSchema.parse(JSON.parse(answer?.body ?? '')).code]).toEqual([408, 'body_timeout']);
    await Promise.all(ends);
    expect(await readdir(folder)).toEqual([]);
    const whole = await postRaw(`http://127.0.0.1:${port}/`, multipartHeaders, [part, formEnd]);
    expect(whole).toMatchObject({ status: 200, body: '{"files":1}' });
    await rm(folder, { recursive: true });
  });

  it('is closed when no route reads it and it does not end', async () => {
    const port = await serve(closeUnreadBodies(200), (_request, response) => {
      response.json('read nothing');
    });
    const heard = await speakRaw(port, 'GET / HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\nsome');
    expect(answersIn(heard).map(({ body }) => body)).toEqual(['"read nothing"']);
  });

  it('keeps its connection when no route reads it and it ends in time', async () => {
    const port = await serve(closeUnreadBodies(200), (_request, response) => {
      response.json('read nothing');
    });
    const socket = connect(port, '127.0.0.1');
    const heard: string[] = [];
    const answered = new Promise<void>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        heard.push(chunk.toString());
        if (heard.length === 1) setTimeout(() => socket.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n'), 400);
        else resolve();
      });
    });
    socket.write('GET / HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nsome');
    await answered;
    expect(answersIn(heard.join(''))).toHaveLength(2);
    socket.destroy();
  });
});

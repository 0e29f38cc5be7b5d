import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { answerProblems } from '../../../../api/http/middleware/answer-problems.js';
import { receiveFiles } from '../../../../api/http/body/multipart.js';
import { errorCodeOf } from '../../../../contracts/errors.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { createLogger } from '../../../../platform/logging.js';
import { poll } from '../../../support/api-client.js';
import { formEnd, formPart, multipartHeaders, postRaw, type RawAnswer } from '../../../support/raw-request.js';
import { fileSpellings, formWithHeaders } from '../../../support/form-spellings.js';
import { roomyQuota } from '../../../support/storage.js';

const maxBytes = 300_000;

describe('receiveFiles', () => {
  let folder: string;
  let listening: Listening;
  let outcomes: string[];

  beforeAll(async () => {
    const app = express();
    app.post('/', async (request, response) => {
      try {
        const options = {
          uploadFolder: folder,
          quota: roomyQuota,
          maxBytes,
          limits: { files: 10 },
          noFile: 'Send files.',
        };
        await receiveFiles(request, response, options, async (files, received) => {
          outcomes.push('received');
          response.json({ files: files.length, stored: (await readdir(received)).length });
        });
      } catch (error) {
        outcomes.push(errorCodeOf(error));
        throw error;
      }
    });
    app.use(answerProblems(createLogger('test', 'silent')));
    listening = await listen(app, '127.0.0.1', 0);
  });
  afterAll(async () => {
    await listening.stop(1_000);
  });
  beforeEach(async () => {
    outcomes = [];
    folder = await mkdtemp(join(tmpdir(), 'perennial-form-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const send = (chunks: readonly (Uint8Array | string)[]): Promise<RawAnswer> =>
    postRaw(`http://127.0.0.1:${listening.port}/`, multipartHeaders, chunks);
  const file = (bytes: number): Uint8Array => formPart('files', new Uint8Array(bytes), 'a.jpg');

  it.each([
    ['a second file', [file(200_000), file(200_000), formEnd]],
    ['data after the end of the form', [file(200_000), formEnd, new Uint8Array(200_000)]],
  ])('refuses a body of unknown length that %s makes too large', async (_name, chunks) => {
    const answer = await send(chunks);
    expect(problemSchema.parse(JSON.parse(answer.body))).toMatchObject({ status: 413, code: 'too_large' });
    await poll(
      () => Promise.resolve(outcomes),
      ({ length }) => length > 0,
    );
    expect(outcomes).toEqual(['too_large']);
    expect(await readdir(folder)).toEqual([]);
  });

  const sendAs = (form: string): Promise<RawAnswer> =>
    postRaw(`http://127.0.0.1:${listening.port}/`, { 'content-type': 'multipart/form-data; boundary=BB' }, [form]);

  it.each(fileSpellings)('takes a file whose headers have %s', async (_name, headers) => {
    expect(JSON.parse((await sendAs(formWithHeaders(headers, 'files'))).body)).toEqual({ files: 1, stored: 1 });
  });

  it('names the field to use for a file in another one, and the fields of a form without files', async () => {
    const typed = await sendAs(formWithHeaders('Content-Disposition: form-data; name="FIELD"; filename="a"', 'image'));
    expect(problemSchema.parse(JSON.parse(typed.body))).toMatchObject({
      code: 'bad_request',
      detail: 'There is a file in the field “image”. Send it in the field “files”.',
    });
    const text = await sendAs(formWithHeaders('Content-Disposition: form-data; name="FIELD"', 'image'));
    expect(problemSchema.parse(JSON.parse(text.body))).toMatchObject({
      code: 'no_file',
      detail: 'The form has no file in the field “files”; it has only “image”. Send files.',
    });
  });

  it('takes a body of unknown length up to the limit', async () => {
    const answer = await send([file(100_000), file(190_000), formEnd]);
    expect(JSON.parse(answer.body)).toEqual({ files: 2, stored: 2 });
  });
});

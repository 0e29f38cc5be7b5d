import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp } from '../../../../api/app.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { PerennialError, type ErrorCode } from '../../../../contracts/errors.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import type { IngestionInput } from '../../../../contracts/datasets/ingestion.js';
import { uploadAcceptedSchema } from '../../../../contracts/datasets/http-datasets.js';
import { uploadKey } from '../../../../stores/objects/object-keys.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';
import { formEnd, formPart, multipartHeaders, postRaw, type RawAnswer } from '../../../support/raw-request.js';

const uploadId = '7d4c9f0e-3c41-4a4b-9d0e-5b1f6f6f0a11';
const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Uploads over HTTP on fake services: where the bytes end up when a service fails midway. */
describe('an upload', () => {
  let folder: string;
  let listening: Listening;
  let url: string;
  let stored: Map<string, string>;
  let created: (string | null)[];
  let recorded: string[];
  let discarded: string[];
  let starts: IngestionInput[];
  /** What fails, and how. */
  let failing: { step: 'reach' | 'put' | 'record' | 'start' | 'delete'; code: ErrorCode }[];

  const passing = (step: (typeof failing)[number]['step']): void => {
    const failure = failing.find((each) => each.step === step);
    if (failure) throw new PerennialError(failure.code, `${step} fails`);
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'perennial-uploads-'));
    const empty = emptyDependencies();
    const app = createApp({
      ...empty,
      settings: { ...empty.settings, uploadFolder: folder },
      uploads: {
        ...empty.uploads,
        async createUpload(upload) {
          await Promise.resolve(created.push(upload.label));
          return uploadId;
        },
        async addUploadFile(_id, position, name) {
          if (position === 1) passing('record');
          await Promise.resolve(recorded.push(name));
        },
        async markDiscarded(id) {
          await Promise.resolve(discarded.push(id));
        },
      },
      objects: {
        ...empty.objects,
        async putFile(key, path) {
          stored.set(key, digest(await readFile(path)));
          if (key === uploadKey(uploadId, 1)) passing('put');
        },
        async deletePrefix(prefix) {
          await Promise.resolve();
          passing('delete');
          for (const key of stored.keys()) if (key.startsWith(prefix)) stored.delete(key);
        },
      },
      starter: {
        ...empty.starter,
        async reach() {
          await Promise.resolve();
          passing('reach');
        },
        async startIngestion(input) {
          await Promise.resolve(starts.push(input));
          passing('start');
          return { workflowId: 'ingest', runId: 'run', joined: false };
        },
      },
    });
    listening = await listen(app, '127.0.0.1', 0);
    url = `http://127.0.0.1:${listening.port}/api/v1/datasets/flowers/images`;
  });
  afterAll(async () => {
    await listening.stop(1_000);
    await rm(folder, { recursive: true });
  });
  beforeEach(() => {
    stored = new Map();
    created = [];
    recorded = [];
    discarded = [];
    failing = [];
    starts = [];
  });
  afterEach(async () => {
    expect(await readdir(folder)).toEqual([]);
  });

  const images = Array.from({ length: 10 }, (_, index) => Buffer.alloc(200_000, index + 1));
  const sendChunked = (): Promise<RawAnswer> =>
    postRaw(url, multipartHeaders, [
      ...images.map((bytes, index) => formPart('files', bytes, `${index}.jpg`)),
      formPart('label', 'rose'),
      formEnd,
    ]);

  it('of unknown length arrives whole, with its label at the end', async () => {
    const answer = await sendChunked();
    expect(answer.status).toBe(202);
    expect(uploadAcceptedSchema.parse(JSON.parse(answer.body))).toMatchObject({ files: 10, bytes: 2_000_000 });
    expect(images.map((_, position) => stored.get(uploadKey(uploadId, position)))).toEqual(images.map(digest));
    expect(recorded.sort()).toEqual(images.map((_, index) => `${index}.jpg`));
    expect(starts).toMatchObject([{ dataset: 'flowers', label: 'rose', source: { kind: 'upload', uploadId } }]);
  });

  it.each([
    ['the object store fails midway', 'put', 'object_store_unavailable', 503],
    ['the database fails midway', 'record', 'database_unavailable', 503],
    ['Temporal refuses the start', 'start', 'internal', 500],
  ] as const)('leaves nothing behind when %s', async (_name, step, code, status) => {
    failing = [{ step, code }];
    const answer = await sendChunked();
    expect(problemSchema.parse(JSON.parse(answer.body))).toMatchObject({ status, code });
    expect([...stored.keys()]).toEqual([]);
    expect(discarded).toEqual([uploadId]);
  });

  it('stays stored when Temporal may have started its ingestion despite the error', async () => {
    failing = [{ step: 'start', code: 'temporal_unavailable' }];
    expect((await sendChunked()).status).toBe(503);
    expect(stored.size).toBe(10);
    expect(discarded).toEqual([]);
  });

  it('stores nothing while Temporal cannot be reached', async () => {
    failing = [{ step: 'reach', code: 'temporal_unavailable' }];
    const answer = await sendChunked();
    expect(problemSchema.parse(JSON.parse(answer.body)).code).toBe('temporal_unavailable');
    expect(stored.size).toBe(0);
    expect(starts).toEqual([]);
  });

  it('reports the first failure when the cleanup fails too', async () => {
    failing = [
      { step: 'put', code: 'object_store_unavailable' },
      { step: 'delete', code: 'internal' },
    ];
    const answer = await sendChunked();
    expect(problemSchema.parse(JSON.parse(answer.body)).code).toBe('object_store_unavailable');
    expect(discarded).toEqual([]);
  });

  describe('of an archive', () => {
    const send = (fields: readonly Uint8Array[]): Promise<RawAnswer> =>
      postRaw(url.replace('/images', '/archives'), multipartHeaders, [...fields, formEnd]);
    // Larger than an image may be.
    const archive = formPart('files', Buffer.alloc(21_000_000, 7), 'photos.zip');

    it('needs no label, may be larger than an image, and may ask for a training', async () => {
      const answer = await send([archive, formPart('then_train', 'true'), formPart('model_name', 'roses')]);
      expect(answer.status).toBe(202);
      expect(created).toEqual([null]);
      expect(recorded).toEqual(['photos.zip']);
      expect(starts).toMatchObject([{ dataset: 'flowers', thenTrain: { modelName: 'roses' } }]);
      expect(starts[0]).not.toHaveProperty('label');
    });

    it.each([
      ['no file', [formPart('then_train', 'true')], 'no_file'],
      ['two files', [archive, archive], 'bad_request'],
      ['a model without a training', [archive, formPart('model_name', 'roses')], 'bad_request'],
      ['a training that is neither true nor false', [archive, formPart('then_train', 'yes')], 'bad_request'],
    ])('is refused with %s', async (_name, fields, code) => {
      expect(problemSchema.parse(JSON.parse((await send(fields)).body))).toMatchObject({ status: 400, code });
      expect(starts).toEqual([]);
    });
  });
});

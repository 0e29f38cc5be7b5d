import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp } from '../../../../api/app.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import type { Source } from '../../../../contracts/datasets/datasets.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';

describe('a request for a source that is split already', () => {
  const started: Source[] = [];
  let root: string;
  let listening: Listening;
  beforeAll(async () => {
    root = realpathSync(mkdtempSync(join(tmpdir(), 'perennial-test-split-')));
    for (const folder of [
      'split/train/grass',
      'split/val/grass',
      'boxes/images',
      'boxes/labels',
      'plain/a',
      'plain/b',
    ]) {
      mkdirSync(join(root, folder), { recursive: true });
      writeFileSync(join(root, folder, '1.jpg'), 'x');
    }
    const plain = emptyDependencies();
    const app = createApp({
      ...plain,
      starter: {
        ...plain.starter,
        startIngestion: async ({ source }) => {
          await Promise.resolve(started.push(source));
          return { workflowId: 'ingest', runId: 'run', joined: false };
        },
      },
      settings: {
        ...plain.settings,
        sourceFolders: {
          ...plain.settings.sourceFolders,
          ...{ PERENNIAL_HOME: '/srv/perennial', DATASET_DIR: undefined, ALLOWED_SOURCE_ROOT: [root] },
        },
      },
    });
    listening = await listen(app, '127.0.0.1', 0);
  });
  afterAll(async () => {
    await listening.stop(1_000);
    rmSync(root, { recursive: true });
  });

  const post = (what: string, source: object): Promise<Response> =>
    fetch(`http://127.0.0.1:${listening.port}/api/v1/pipelines/${what}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ source }),
    });

  it.each(['ingestion', 'retraining'])('is answered with both ways out (%s)', async (what) => {
    const problem = problemSchema.parse(await (await post(what, { kind: 'folder', path: join(root, 'split') })).json());
    expect(problem).toMatchObject({ status: 422, code: 'split_undecided' });
    expect(problem.detail).toMatch(/train, val.*"split": "keep".*"split": "ignore"/);
    expect(started).toEqual([]);
  });

  it.each(['ingestion', 'retraining'])('is refused by name if it has no class folders (%s)', async (what) => {
    const problem = problemSchema.parse(await (await post(what, { kind: 'folder', path: join(root, 'boxes') })).json());
    expect(problem).toMatchObject({ status: 422, code: 'source_layout' });
  });

  it('is started with a word, as is a folder of class folders and one that only the worker can read', async () => {
    const sources = [
      { kind: 'folder', path: join(root, 'split'), split: 'keep' },
      { kind: 'folder', path: join(root, 'split'), split: 'ignore' },
      { kind: 'folder', path: join(root, 'plain') },
      { kind: 'folder', path: join(root, 'missing') },
    ];
    for (const source of sources) expect((await post('ingestion', source)).status).toBe(202);
    expect(started).toEqual(sources);
  });
});

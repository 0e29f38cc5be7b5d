import { createApp } from '../../../../api/app.js';
import { listen, type Listening } from '../../../../api/http/server/listen.js';
import { problemSchema } from '../../../../contracts/http/problem.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';

const home = '/srv/perennial/data';

describe('a run of a folder that no setting allows', () => {
  const asked: string[] = [];
  let listening: Listening;
  beforeAll(async () => {
    const plain = emptyDependencies();
    const note = (what: string) => (): Promise<never> => {
      asked.push(what);
      return Promise.reject(new Error('it must not be started'));
    };
    const app = createApp({
      ...plain,
      starter: { ...plain.starter, startIngestion: note('ingestion') },
      retrainer: { ...plain.retrainer, order: note('retraining') },
      settings: {
        ...plain.settings,
        sourceFolders: {
          ...{ PERENNIAL_HOME: home, DATASET_DIR: '/photographs', ALLOWED_SOURCE_ROOT: ['/srv'] },
          ...{ S3_BUCKET: 'perennial', INGEST_S3_BUCKET: undefined },
        },
      },
    });
    listening = await listen(app, '127.0.0.1', 0);
  });
  afterAll(() => listening.stop(1_000));

  it.each(['ingestion', 'retraining'])('is not started as %s', async (what) => {
    for (const path of ['/', '/etc', '/photographs/../etc', '/photographs-of-others', home, `${home}/s3`, '/srv']) {
      const response = await fetch(`http://127.0.0.1:${listening.port}/api/v1/pipelines/${what}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ source: { kind: 'folder', path } }),
      });
      const { status, code, detail } = problemSchema.parse(await response.json());
      expect({ path, status, code }).toEqual({ path, status: 403, code: 'source_not_allowed' });
      expect(detail).toMatch(/DATASET_DIR.*ALLOWED_SOURCE_ROOT/);
    }
    expect(asked).toEqual([]);
  });
});

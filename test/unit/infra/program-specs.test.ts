import { resolve } from 'node:path';
import { runAs } from '../../../infra/local/account.js';
import { programSpecs, reachableUrl } from '../../../infra/local/program-specs.js';

const addresses = {
  databaseUrl: 'postgresql://u:p@127.0.0.1:1/d',
  s3Endpoint: 'http://127.0.0.1:2',
  s3Keys: { accessKeyId: 'an-id', secretAccessKey: 'a-secret' },
  temporalAddress: '127.0.0.1:3',
  temporalUiUrl: 'http://127.0.0.1:4',
  apiPort: 5,
  host: '127.0.0.1',
};

const options = { home: '/home', graceMs: 1000, environment: {}, servicesUp: Promise.resolve() };

function environmentOfApi(user: NodeJS.ProcessEnv, changes: Partial<typeof addresses> = {}): NodeJS.ProcessEnv {
  const specs = programSpecs({ ...addresses, ...changes }, { ...options, environment: user });
  return specs.find(({ name }) => name === 'api')?.env ?? {};
}

describe("Perennial's processes", () => {
  it('get the addresses of the services, which override the environment', () => {
    expect(environmentOfApi({ PORT: '0', PERENNIAL_HOME: 'x', HOST: 'y' })).toMatchObject({
      DATABASE_URL: addresses.databaseUrl,
      S3_ENDPOINT: addresses.s3Endpoint,
      S3_ACCESS_KEY_ID: 'an-id',
      S3_SECRET_ACCESS_KEY: 'a-secret',
      TEMPORAL_ADDRESS: addresses.temporalAddress,
      TEMPORAL_UI_URL: addresses.temporalUiUrl,
      PERENNIAL_HOME: '/home',
      PORT: '5',
      REPLICA_URL: 'http://127.0.0.1:5',
    });
  });

  it("keep the user's own settings, with DATASET_DIR made absolute", () => {
    const env = environmentOfApi({ MODEL_NAME: 'm', NODE_ENV: 'test', CODE_REVISION: 'r', DATASET_DIR: 'some/where' });
    expect(env).toMatchObject({ MODEL_NAME: 'm', NODE_ENV: 'test', CODE_REVISION: 'r' });
    expect(env['DATASET_DIR']).toBe(resolve('some/where'));
    expect(environmentOfApi({ DATASET_DIR: '' })['DATASET_DIR']).toBe('');
  });

  it('stop before the services they need, the API first', () => {
    const orders = programSpecs(addresses, options).map(({ name, stopOrder }) => [name, stopOrder]);
    expect(Object.fromEntries(orders)).toEqual({ api: 1, pipeline: 2, training: 2 });
  });

  it.each([
    ['127.0.0.1', 'http://127.0.0.1:5'],
    ['0.0.0.0', 'http://127.0.0.1:5'],
    ['::', 'http://127.0.0.1:5'],
    ['::1', 'http://[::1]:5'],
    ['10.0.0.7', 'http://10.0.0.7:5'],
  ])('that listen on %s are reached at %s', (host, url) => {
    expect(reachableUrl(host, 5)).toBe(url);
  });
});

describe('Postgres', () => {
  it('is started directly by an ordinary user', () => {
    expect(runAs(null, '/x/postgres', ['-D', 'd'])).toEqual({ command: '/x/postgres', args: ['-D', 'd'] });
  });

  it('is started under another account by root', () => {
    const { command, args } = runAs({ uid: 7, gid: 8 }, '/x/postgres', ['-D', 'd']);
    expect(['setpriv', 'sudo']).toContain(command);
    expect(args.slice(-3)).toEqual(['/x/postgres', '-D', 'd']);
    expect(args.join(' ')).toContain('7');
  });
});

import { mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkSource } from '../../../../api/datasets/check-source.js';
import { packageRoot } from '../../../../platform/paths.js';
import type { SourceFolders } from '../../../../platform/source-folders.js';

describe('checkSource', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'perennial-sources-')));
    await mkdir(join(folder, 'allowed', 'images'), { recursive: true });
    for (const name of ['allowed-not', 'second', 'dataset', 'home/s3', 'allowed/home']) {
      await mkdir(join(folder, name), { recursive: true });
    }
    await symlink(join(folder, 'allowed-not'), join(folder, 'allowed', 'link'));
    await symlink(join(folder, 'allowed'), join(folder, 'alias'));
    await symlink(join(folder, 'home'), join(folder, 'allowed', 'link-home'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const check = (path: string, settings: Partial<SourceFolders> = {}): Promise<void> =>
    checkSource(
      { kind: 'folder', path },
      {
        PERENNIAL_HOME: join(folder, 'home'),
        DATASET_DIR: join(folder, 'dataset'),
        ALLOWED_SOURCE_ROOT: [join(folder, 'allowed'), join(folder, 'second')],
        S3_BUCKET: 'perennial',
        INGEST_S3_BUCKET: undefined,
        ...settings,
      },
    );

  it.each(['allowed/images', 'allowed', 'allowed/not there yet', 'alias/images', 'alias/missing', 'second', 'dataset'])(
    'accepts %s',
    async (path) => {
      await expect(check(join(folder, path))).resolves.toBeUndefined();
    },
  );

  it('accepts the folder of the project', async () => {
    await expect(check(join(packageRoot, 'test'))).resolves.toBeUndefined();
  });

  it.each([
    'allowed-not',
    'allowed/link',
    'allowed/link/missing',
    'allowed/../allowed-not',
    '.',
    '/',
    'missing',
    'home',
  ])('refuses %s, naming the setting', async (path) => {
    const refused = check(path === '/' ? path : join(folder, path));
    await expect(refused).rejects.toMatchObject({ code: 'source_not_allowed' });
    await expect(refused).rejects.toThrow(/DATASET_DIR|ALLOWED_SOURCE_ROOT/);
  });

  it.each(['allowed/home', 'allowed/home/s3', 'allowed', '.'])(
    'refuses %s when the data folder lies there',
    async (path) => {
      const refused = check(join(folder, path), {
        PERENNIAL_HOME: join(folder, 'allowed', 'home'),
        ALLOWED_SOURCE_ROOT: [folder],
      });
      await expect(refused).rejects.toThrow('PERENNIAL_HOME');
    },
  );

  it('refuses the data folder through a link, and inside the project', async () => {
    await expect(check(join(folder, 'allowed', 'link-home', 's3'))).rejects.toThrow('PERENNIAL_HOME');
    const inProject = check(join(packageRoot, '.perennial', 'datasets'), {
      PERENNIAL_HOME: join(packageRoot, '.perennial'),
    });
    await expect(inProject).rejects.toThrow('PERENNIAL_HOME');
    await expect(check(packageRoot, { PERENNIAL_HOME: join(packageRoot, '.perennial') })).rejects.toThrow(
      'PERENNIAL_HOME',
    );
  });

  it('accepts a folder in the data folder that a setting names', async () => {
    const named = { ALLOWED_SOURCE_ROOT: [join(folder, 'home', 's3')] };
    await expect(check(join(folder, 'home', 's3', 'images'), named)).resolves.toBeUndefined();
  });

  it('refuses a relative folder, which each process would understand differently', async () => {
    await expect(check('images')).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('accepts sources that are not folders', async () => {
    const none = {
      PERENNIAL_HOME: folder,
      DATASET_DIR: undefined,
      ALLOWED_SOURCE_ROOT: [],
      S3_BUCKET: 'perennial',
      INGEST_S3_BUCKET: undefined,
    };
    await expect(checkSource({ kind: 'synthetic' }, none)).resolves.toBeUndefined();
  });
});

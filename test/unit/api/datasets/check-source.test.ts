import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkSource } from '../../../../api/datasets/check-source.js';

describe('checkSource', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'perennial-sources-'));
    await mkdir(join(folder, 'allowed', 'images'), { recursive: true });
    await mkdir(join(folder, 'allowed-not'));
    await symlink(join(folder, 'allowed-not'), join(folder, 'allowed', 'link'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const check = (path: string, root: string | null = join(folder, 'allowed')): Promise<void> =>
    checkSource({ kind: 'folder', path }, root);

  it('accepts folders below the root, and the root itself', async () => {
    await expect(check(join(folder, 'allowed', 'images'))).resolves.toBeUndefined();
    await expect(check(join(folder, 'allowed'))).resolves.toBeUndefined();
    await expect(check(join(folder, 'allowed', 'not there yet'))).resolves.toBeUndefined();
  });

  it('accepts any absolute folder without a root', async () => {
    await expect(check('/anywhere', null)).resolves.toBeUndefined();
  });

  it.each(['allowed-not', 'allowed/link', 'allowed/../allowed-not', '.'])('refuses %s', async (path) => {
    await expect(check(join(folder, path))).rejects.toMatchObject({ code: 'source_not_found' });
  });

  it('refuses a relative folder, which each process would understand differently', async () => {
    await expect(check('images', null)).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('accepts sources that are not folders', async () => {
    await expect(checkSource({ kind: 'synthetic' }, folder)).resolves.toBeUndefined();
  });
});

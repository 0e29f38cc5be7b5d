import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { claimDataFolder, openDataFolder, readLayout } from '../../../infra/local/data-folder.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();
/** Of util-linux: runs a command as another account, for root. */
const otherAccount = 'setpriv';

describe('a data folder', () => {
  it('is created with the version of its layout, and can be opened again', () => {
    const home = join(folder, 'new', 'home');
    openDataFolder(home);
    openDataFolder(home);
    expect(readLayout(home)).toBe(1);
    expect(existsSync(join(home, 'logs'))).toBe(true);
  });

  describe('that others could read', () => {
    const home = join(folder, 'readable');
    const modeOf = (path: string): string => (statSync(join(home, path)).mode & 0o777).toString(8);

    beforeAll(() => {
      openDataFolder(home);
      for (const name of ['s3', 'logs', 'postgres']) {
        mkdirSync(join(home, name), { recursive: true });
        writeFileSync(join(home, name, 'file'), 'a picture');
        chmodSync(join(home, name), 0o755);
      }
      chmodSync(home, 0o755);
      // The folder of the test itself must not be what keeps the other account out.
      chmodSync(folder, 0o755);
    });

    it('is closed to other accounts when it is opened', () => {
      openDataFolder(home);
      expect(['.', 's3', 'logs', 'run', 'postgres'].map(modeOf)).toEqual(['700', '700', '700', '700', '700']);
      expect(modeOf('layout.json')).toBe('600');
    });

    it('is closed where a link leads to', () => {
      const [elsewhere, linked] = [join(folder, 'elsewhere'), join(folder, 'linked')];
      mkdirSync(join(elsewhere, 's3'), { recursive: true });
      symlinkSync(elsewhere, linked);
      mkdirSync(join(folder, 'disk'), { mode: 0o755 });
      symlinkSync(join(folder, 'disk'), join(linked, 'bundles'));
      openDataFolder(linked);
      for (const path of [elsewhere, join(elsewhere, 's3'), join(folder, 'disk')]) {
        expect(statSync(path).mode & 0o777).toBe(0o700);
      }
    });

    const canBecomeAnother = process.getuid?.() === 0 && spawnSync(otherAccount, ['--version']).status === 0;
    (canBecomeAnother ? it : it.skip)('cannot be read by another account of the machine', () => {
      const asNobody = (...command: string[]): number | null =>
        spawnSync(otherAccount, ['--reuid=65534', '--regid=65534', '--clear-groups', ...command]).status;
      chmodSync(home, 0o755);
      chmodSync(join(home, 's3'), 0o755);
      expect(asNobody('cat', join(home, 's3', 'file'))).toBe(0);
      openDataFolder(home);
      expect(asNobody('cat', join(home, 's3', 'file'))).not.toBe(0);
      expect(asNobody('ls', home)).not.toBe(0);
    });
  });

  it('of a newer layout is refused and not changed', () => {
    const home = join(folder, 'newer');
    mkdirSync(home);
    writeFileSync(join(home, 'layout.json'), '{"layout": 2}');
    expect(() => openDataFolder(home)).toThrow(/newer Perennial \(layout 2; this one knows 1\)/);
    expect(readLayout(home)).toBe(2);
  });

  it('of an older layout is upgraded step by step, and resumes at the step that failed', () => {
    const home = join(folder, 'older');
    mkdirSync(home);
    writeFileSync(join(home, 'layout.json'), '{"layout": 1}');
    const done: string[] = [];
    const toTwo = (): void => void done.push('to 2');
    const broken = (): void => {
      throw new Error('disk full');
    };
    expect(() => openDataFolder(home, [toTwo, broken])).toThrow('disk full');
    expect(readLayout(home)).toBe(2);
    openDataFolder(home, [toTwo, () => done.push('to 3')]);
    expect(done).toEqual(['to 2', 'to 3']);
    expect(readLayout(home)).toBe(3);
  });

  it('with other files in it is refused, so that no reset can remove them', () => {
    const home = join(folder, 'documents');
    mkdirSync(home);
    writeFileSync(join(home, 'thesis.txt'), 'mine');
    expect(() => openDataFolder(home)).toThrow('holds other files (thesis.txt)');
    expect(readFileSync(join(home, 'thesis.txt'), 'utf8')).toBe('mine');
    expect(existsSync(join(home, 'layout.json'))).toBe(false);
  });

  it('with a damaged layout.json is refused with the name of that file', () => {
    const home = join(folder, 'damaged');
    mkdirSync(home);
    writeFileSync(join(home, 'layout.json'), '{"layout": "two"}');
    expect(() => openDataFolder(home)).toThrow('layout.json is damaged');
  });

  it('is locked by one stack at a time', () => {
    const home = join(folder, 'claimed');
    openDataFolder(home);
    const release = claimDataFolder(home);
    expect(() => claimDataFolder(home)).toThrow(`Perennial already runs on ${home} (process ${process.pid})`);
    release();
    claimDataFolder(home)();
  });
});

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { openLogFile } from '../../../infra/local/log-file.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();

describe('a log file', () => {
  it('is rotated at its limit, keeps `keep` previous files, and loses no line of those', () => {
    const log = openLogFile(join(folder, 'a.log'), { maxBytes: 20, keep: 2 });
    for (let number = 10; number < 22; number += 1) log.write(`line ${number}`);
    log.close();
    expect(readdirSync(folder).sort()).toEqual(['a.log', 'a.log.1', 'a.log.2']);
    const kept = ['a.log.2', 'a.log.1', 'a.log'].map((name) => readFileSync(join(folder, name), 'utf8')).join('');
    expect(kept).toBe('line 16\nline 17\nline 18\nline 19\nline 20\nline 21\n');
  });

  it('is appended to after a restart', () => {
    const path = join(folder, 'b.log');
    for (const line of ['first', 'second']) {
      const log = openLogFile(path);
      log.write(line);
      log.close();
    }
    expect(readFileSync(path, 'utf8')).toBe('first\nsecond\n');
  });

  it('ignores a line that is written after it was closed', () => {
    const log = openLogFile(join(folder, 'c.log'));
    log.close();
    log.write('late');
    expect(readFileSync(join(folder, 'c.log'), 'utf8')).toBe('');
  });

  it('that cannot be opened loses lines without an error, and reports their number when it can be opened again', () => {
    const path = join(folder, 'd.log');
    mkdirSync(path);
    const log = openLogFile(path);
    log.write('first');
    log.write('second');
    rmdirSync(path);
    log.write('third');
    log.write('fourth');
    log.close();
    expect(readFileSync(path, 'utf8')).toMatch(/^2 lines were lost: EISDIR.*\nthird\nfourth\n$/);
  });

  it('that cannot be rotated does not throw', () => {
    const path = join(folder, 'e.log');
    mkdirSync(`${path}.1/not/empty`, { recursive: true });
    const log = openLogFile(path, { maxBytes: 20, keep: 2 });
    mkdirSync(`${path}.2/not/empty`, { recursive: true });
    for (let number = 10; number < 22; number += 1) log.write(`line ${number}`);
    log.close();
    expect(readFileSync(path, 'utf8')).toContain('line 10\n');
  });

  (existsSync('/dev/full') ? it : it.skip)('does not throw on a full disk', () => {
    const log = openLogFile('/dev/full');
    for (let number = 0; number < 3; number += 1) log.write('lost');
    log.close();
  });
});

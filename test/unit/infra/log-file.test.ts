import { readdirSync, readFileSync } from 'node:fs';
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
});

import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createRunFile, type ProcessRecord } from '../../../infra/local/run-file.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();
const record = (pid: number): ProcessRecord => ({ name: `p${pid}`, pid, startedAt: 'then', stopSignal: 'SIGTERM' });

describe('a run file that cannot be written', () => {
  it('does not throw, and holds every process once it can be written again', () => {
    const path = join(folder, 'blocked', 'processes.json');
    // A folder at the place of the draft fails every write, as a full disk does.
    mkdirSync(`${path}.draft`, { recursive: true });
    const file = createRunFile(path);
    file.add(record(1));
    file.add(record(2));
    file.remove(1);
    rmSync(`${path}.draft`, { recursive: true });
    file.add(record(3));
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject([{ pid: 2 }, { pid: 3 }]);
    file.clear();
  });

  it('is written without another change, after some seconds', async () => {
    const path = join(folder, 'later', 'processes.json');
    mkdirSync(`${path}.draft`, { recursive: true });
    const file = createRunFile(path, 10);
    file.add(record(1));
    rmSync(`${path}.draft`, { recursive: true });
    const written = (): string => {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return '';
      }
    };
    while (written() === '') await new Promise((resolve) => setTimeout(resolve, 10));
    expect(written()).toContain('"pid": 1');
  });
});

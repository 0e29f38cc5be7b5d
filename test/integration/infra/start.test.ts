import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { claimDataFolder, openDataFolder } from '../../../infra/local/data-folder.js';
import { freePorts } from '../../../infra/local/ports.js';
import { packageRoot } from '../../../platform/paths.js';
import { mountDisk } from '../../support/small-disk.js';
import { startProgram, type Program } from '../../support/program.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();
const setupFolder = join(packageRoot, 'infra', 'setup');

function startMain(environment: Record<string, string>): Program {
  const entry = join(packageRoot, 'dist', 'infra', 'local', 'main.js');
  return startProgram(['--input-type=module', '-e', `(await import(${JSON.stringify(entry)})).main()`], environment);
}

describe('npm start', () => {
  it('reports a taken port and the setting, and leaves no process running', async () => {
    const [port = 0] = await freePorts(1);
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    const program = startMain({ PERENNIAL_HOME: join(folder, 'port'), PORT: String(port) });
    expect(await program.ended).toBe(1);
    server.close();
    expect(program.output()).toContain(`Port ${port}, configured for the API, is taken by another program.`);
    expect(program.output()).toContain(`PORT=${port + 1} npm start`);
    expect(program.output()).not.toContain('    at ');
  });

  it('refuses a data folder on which another stack runs, with the id of its process', async () => {
    const home = join(folder, 'busy');
    openDataFolder(home);
    const release = claimDataFolder(home);
    const program = startMain({ PERENNIAL_HOME: home, PORT: '0' });
    expect(await program.ended).toBe(1);
    release();
    expect(program.output()).toContain(`already runs on ${home} (process ${process.pid})`);
  });

  it('reports every wrong setting at once', async () => {
    const program = startMain({ PERENNIAL_HOME: join(folder, 'wrong'), PORT: '99999', LOG_LEVEL: 'loud' });
    expect(await program.ended).toBe(1);
    expect(program.output()).toMatch(/`PORT` must be .*`LOG_LEVEL` must be one of /);
  });
});

const fullDisk = await mountDisk('16m');
(fullDisk.reason === null ? describe : describe.skip)('npm start on a full disk', () => {
  afterAll(() => fullDisk.unmount());

  it('says so in a sentence, with what to do, and leaves no process running', async () => {
    const home = join(fullDisk.folder, 'home');
    const program = startMain({ PERENNIAL_HOME: home, PORT: '0' });
    expect(await program.ended).toBe(1);
    expect(program.output()).toMatch(/cannot write to its data folder .* has [\d.]+ MB free\. Make room there/);
    expect(program.output()).toContain('PERENNIAL_HOME');
    expect(program.output()).not.toContain('    at ');
    const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'args=']);
    expect(stdout.split('\n').filter((line) => line.includes(home))).toEqual([]);
  }, 120_000);
});

describe('two set-ups at once', () => {
  it('run one after the other, and the second reports the process it waits for', async () => {
    const lock = join(folder, 'setup.lock');
    const go = join(folder, 'go');
    const work = `
      const { existsSync } = await import('node:fs');
      const { withLock } = await import(${JSON.stringify(join(setupFolder, 'lock.mjs'))});
      await withLock(${JSON.stringify(lock)}, (holder) => console.log('waits for', holder.pid), async () => {
        console.log('begins', Date.now());
        while (!existsSync(${JSON.stringify(go)})) await new Promise((resolve) => setTimeout(resolve, 20));
        console.log('ends', Date.now());
      });`;
    const first = startProgram(['--input-type=module', '-e', work]);
    await first.line(/^begins/);
    const second = startProgram(['--input-type=module', '-e', work]);
    expect(await second.line(/^waits/)).toBe(`waits for ${first.process.pid ?? 0}`);
    writeFileSync(go, '');
    expect([await first.ended, await second.ended]).toEqual([0, 0]);
    const timeOf = (text: string): number => Number(text.split(' ')[1]);
    expect(timeOf(await second.line(/^begins/))).toBeGreaterThanOrEqual(timeOf(await first.line(/^ends/)));
  });

  it('do not wait for a set-up that was killed', async () => {
    const lock = join(folder, 'killed.lock');
    const take = `
      const { tryLock } = await import(${JSON.stringify(join(setupFolder, 'lock.mjs'))});
      console.log('taken', tryLock(${JSON.stringify(lock)}).taken);
      setInterval(() => {}, 1000);`;
    const first = startProgram(['--input-type=module', '-e', take]);
    await first.line(/^taken true/);
    first.process.kill('SIGKILL');
    await first.ended;
    const second = startProgram(['--input-type=module', '-e', take]);
    await second.line(/^taken true/);
    second.process.kill('SIGKILL');
  });
});

describe('npm run reset', () => {
  const reset = join(setupFolder, 'reset.mjs');

  it('removes nothing without a terminal for the confirmation', async () => {
    const home = join(folder, 'kept');
    openDataFolder(home);
    const program = startProgram([reset], { PERENNIAL_HOME: home });
    expect(await program.ended).toBe(1);
    expect(program.output()).toContain('-- --yes');
    expect(readFileSync(join(home, 'layout.json'), 'utf8')).toContain('1');
  });

  it('empties a data folder and keeps foreign files in it', async () => {
    const home = join(folder, 'emptied');
    openDataFolder(home);
    for (const name of ['postgres', 'spool']) mkdirSync(join(home, name, 'data'), { recursive: true });
    writeFileSync(join(home, 'notes.txt'), 'mine');
    const program = startProgram([reset, '--yes'], { PERENNIAL_HOME: home });
    expect(await program.ended).toBe(0);
    expect(readdirSync(home)).toEqual(['notes.txt']);
    expect(readFileSync(join(home, 'notes.txt'), 'utf8')).toBe('mine');
  });

  it('refuses a folder that is not a data folder, and one in use', async () => {
    const foreign = startProgram([reset, '--yes'], { PERENNIAL_HOME: folder });
    expect(await foreign.ended).toBe(1);
    expect(foreign.output()).toContain('not a data folder of Perennial');
    const home = join(folder, 'used');
    openDataFolder(home);
    const release = claimDataFolder(home);
    const used = startProgram([reset, '--yes'], { PERENNIAL_HOME: home });
    expect(await used.ended).toBe(1);
    release();
    expect(used.output()).toContain(`process ${process.pid}`);
  });
});

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildSpec } from '../../../infra/local/child-spec.js';
import { createRunFile } from '../../../infra/local/run-file.js';
import { createSupervisor, type Supervisor } from '../../../infra/local/supervisor.js';
import { packageRoot } from '../../../platform/paths.js';
import { startProgram, type Program } from '../../support/program.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();
const tinyStack = join(packageRoot, 'dist', 'test', 'support', 'programs', 'tiny-stack.js');

/** Numbers of the living processes in the groups of these processes. */
function survivors(pids: readonly number[]): string[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,pgid=,stat=,args='], { encoding: 'utf8' }).trim().split('\n');
  return table.filter((line) => {
    const [, group, state = ''] = line.trim().split(/\s+/);
    return pids.includes(Number(group)) && !state.startsWith('Z');
  });
}

async function startTinyStack(
  home: string,
  graceMs = 300,
): Promise<{ program: Program; pids: number[]; left: string }> {
  const program = startProgram([tinyStack, home, String(graceMs)], { npm_lifecycle_event: undefined });
  const left = await program.line(/^left/);
  const pids = (await program.line(/^up/)).split(' ').slice(1).map(Number);
  return { program, pids, left: left.slice('left '.length) };
}

async function untilGone(pids: readonly number[]): Promise<void> {
  while (survivors(pids).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('a supervisor', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('leaves nothing behind after %s', async (signal) => {
    const { program, pids } = await startTinyStack(join(folder, signal));
    expect(survivors(pids)).toHaveLength(4);
    program.process.kill(signal);
    expect(await program.ended).toBe(0);
    expect(survivors(pids)).toEqual([]);
    expect(existsSync(join(folder, signal, 'processes.json'))).toBe(false);
  });

  it('takes two signals in a row for one: npm passes on the Ctrl-C that the terminal sent as well', async () => {
    const { program, pids } = await startTinyStack(join(folder, 'doubled'));
    program.process.kill('SIGINT');
    await program.line(/^stopping/);
    program.process.kill('SIGINT');
    expect(await program.ended).toBe(0);
    expect(survivors(pids)).toEqual([]);
  });

  it('ends everything at once when it is asked again', async () => {
    const { program, pids } = await startTinyStack(join(folder, 'twice'), 60_000);
    program.process.kill('SIGINT');
    await program.line(/^stopping/);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    program.process.kill('SIGINT');
    expect(await program.ended).toBe(130);
    await untilGone(pids);
  });

  it('stops when the npm that started it is gone', async () => {
    const home = join(folder, 'npm');
    // The middle process stands for npm: it starts the supervisor and is killed, so that it passes no signal on.
    const middle = startProgram([
      '-e',
      `require('child_process').spawn(process.execPath, ${JSON.stringify([tinyStack, home])}, { stdio: 'inherit', env: { ...process.env, npm_lifecycle_event: 'start' } }); setInterval(() => {}, 1000);`,
    ]);
    const pids = (await middle.line(/^up/)).split(' ').slice(1).map(Number);
    middle.process.kill('SIGKILL');
    await middle.line(/^stopping npm is gone/);
    await untilGone(pids);
  });

  it('that was killed leaves processes which the next start clears, and no others', async () => {
    const home = join(folder, 'killed');
    const { program, pids } = await startTinyStack(home);
    program.process.kill('SIGKILL');
    await program.ended;
    expect(survivors(pids).length).toBeGreaterThan(0);
    const next = await startTinyStack(home);
    expect(next.left).toBe('stubborn obedient');
    expect(survivors(pids)).toEqual([]);
    expect(survivors(next.pids)).toHaveLength(4);
    next.program.process.kill('SIGTERM');
    await next.program.ended;
  });
});

describe('a supervised process', () => {
  const said: string[] = [];
  let supervisor: Supervisor;
  const spec = (name: string, program: string, changes: Partial<ChildSpec> = {}): ChildSpec => ({
    name,
    command: process.execPath,
    args: ['-e', program],
    env: { PATH: process.env['PATH'], MARK: join(folder, `${name}.mark`) },
    ready: 'message',
    readyTimeoutMs: 10_000,
    stopSignal: 'SIGTERM',
    stopOrder: 1,
    graceMs: 2_000,
    ...changes,
  });
  const ready = `process.send({ type: 'ready' }); setInterval(() => {}, 1000);`;

  beforeEach(() => {
    said.length = 0;
    supervisor = createSupervisor({
      logsFolder: folder,
      runFile: createRunFile(join(folder, 'processes.json')),
      say: (line) => said.push(line),
      delayMs: () => 10,
    });
  });
  afterEach(() => supervisor.stop());

  async function untilSaid(count: number): Promise<void> {
    while (said.length < count) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  it('that crashes is started again, with a line that names its log', async () => {
    const child = await supervisor.start(spec('crashing', ready));
    process.kill(child.pid, 'SIGKILL');
    await untilSaid(2);
    expect(said).toEqual([
      `crashing was ended by SIGKILL; next start in 0.01 s. Its log: ${join(folder, 'crashing.log')}`,
      'crashing runs again.',
    ]);
  });

  it('that cannot be started again is tried until it can', async () => {
    // Ready the first time and the fourth; in between it ends with code 3.
    const program = `const fs = require('fs'); fs.appendFileSync(process.env.MARK, 'x');
      if ([1, 4].includes(fs.statSync(process.env.MARK).size)) { ${ready} } else process.exit(3);`;
    const child = await supervisor.start(spec('returning', program));
    process.kill(child.pid, 'SIGKILL');
    await untilSaid(4);
    expect(said.map((line) => line.replace(/; next.*/, ''))).toEqual([
      'returning was ended by SIGKILL',
      'returning could not be started',
      'returning could not be started',
      'returning runs again.',
    ]);
  });

  it('that ends before it is ready fails the start with its last words', async () => {
    const start = supervisor.start(spec('failing', `console.error('no such table'); process.exit(2)`));
    await expect(start).rejects.toThrow('failing ended with code 2\n    no such table');
    expect(said).toEqual([]);
  });

  it('that does not become ready in time fails the start and is gone', async () => {
    const start = supervisor.start(
      spec('silent', `console.log(process.pid); setInterval(() => {}, 1000)`, { readyTimeoutMs: 300 }),
    );
    await expect(start).rejects.toThrow('silent was not ready after 0.3 s');
    const pid = Number(readFileSync(join(folder, 'silent.log'), 'utf8'));
    expect(survivors([pid])).toEqual([]);
  });

  it('that cannot be found fails the start by name', async () => {
    const start = supervisor.start(spec('missing', '', { command: '/no/such/program' }));
    await expect(start).rejects.toThrow(/missing could not be started: .*ENOENT/);
  });

  it('is stopped before what it depends on', async () => {
    const order = join(folder, 'order.mark');
    const program = (name: string): string =>
      `process.on('SIGTERM', () => { require('fs').appendFileSync(${JSON.stringify(order)}, '${name} '); process.exit(0); }); ${ready}`;
    await Promise.all([
      supervisor.start(spec('database', program('database'), { stopOrder: 3 })),
      supervisor.start(spec('api', program('api'), { stopOrder: 1 })),
      supervisor.start(spec('worker', program('worker'), { stopOrder: 2 })),
    ]);
    await supervisor.stop();
    expect(readFileSync(order, 'utf8')).toBe('api worker database ');
  });

  it('writes everything into its log', async () => {
    await supervisor.start(spec('talking', `console.log('one'); console.error('two'); ${ready}`));
    await supervisor.stop();
    expect(readFileSync(join(folder, 'talking.log'), 'utf8').trim().split('\n').sort()).toEqual(['one', 'two']);
  });
});

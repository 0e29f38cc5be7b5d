import { execFileSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildSpec } from '../../../infra/local/child-spec.js';
import { createRunFile } from '../../../infra/local/run-file.js';
import { startChild } from '../../../infra/local/running-child.js';
import { createSupervisor, type Supervisor } from '../../../infra/local/supervisor.js';
import { packageRoot } from '../../../platform/paths.js';
import { startProgram, type Program } from '../../support/program.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();
const tinyStack = join(packageRoot, 'dist', 'test', 'support', 'programs', 'tiny-stack.js');

/** Lists the living processes in the process groups of these processes. */
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
  ...more: string[]
): Promise<{ program: Program; pids: number[]; left: string }> {
  const program = startProgram([tinyStack, home, String(graceMs), ...more], { npm_lifecycle_event: undefined });
  const left = await program.line(/^left/);
  const pids = (await program.line(/^up/)).split(' ').slice(1).map(Number);
  return { program, pids, left: left.slice('left '.length) };
}

async function untilGone(pids: readonly number[]): Promise<void> {
  while (survivors(pids).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('a supervisor', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('leaves no process behind after %s', async (signal) => {
    const { program, pids } = await startTinyStack(join(folder, signal));
    expect(survivors(pids)).toHaveLength(4);
    program.process.kill(signal);
    expect(await program.ended).toBe(0);
    expect(survivors(pids)).toEqual([]);
    expect(existsSync(join(folder, signal, 'processes.json'))).toBe(false);
  });

  it('treats two signals in a row as one: the terminal sends a Ctrl-C, and npm forwards the same one', async () => {
    const { program, pids } = await startTinyStack(join(folder, 'doubled'));
    program.process.kill('SIGINT');
    await program.line(/^stopping/);
    program.process.kill('SIGINT');
    expect(await program.ended).toBe(0);
    expect(survivors(pids)).toEqual([]);
  });

  it('kills everything at once at a second stop request', async () => {
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

  it('stops everything and says why after an error that nothing handles', async () => {
    const { program, pids } = await startTinyStack(join(folder, 'failed'));
    program.process.kill('SIGUSR2');
    expect(await program.ended).toBe(1);
    expect(program.output()).toContain('stopping unexpected error: nothing handles this');
    expect(survivors(pids)).toEqual([]);
  });

  it('with a guardian leaves no process behind when it is killed', async () => {
    const { program, pids } = await startTinyStack(join(folder, 'guarded'), 300, 'guarded');
    expect(survivors(pids)).toHaveLength(4);
    program.process.kill('SIGKILL');
    await program.ended;
    await untilGone(pids);
  }, 60_000);

  it('that was killed leaves processes behind, and the next start stops exactly those', async () => {
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
  const reported: string[] = [];
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
    reported.length = 0;
    supervisor = createSupervisor({
      logsFolder: folder,
      runFile: createRunFile(join(folder, 'processes.json')),
      report: (line) => reported.push(line),
      delayMs: () => 10,
    });
  });
  afterEach(() => supervisor.stop());

  async function untilReported(count: number): Promise<void> {
    while (reported.length < count) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  it('that waits for the services is told when they are up, also when it is started again', async () => {
    let areUp = (): void => undefined;
    const servicesUp = new Promise<void>((resolve) => (areUp = resolve));
    const waiting = `process.stdout.write('loaded\\n'); process.on('message', ({ type }) => { if (type === 'begin') process.send({ type: 'ready' }); });`;
    const starting = supervisor.start(spec('waiting', waiting, { servicesUp }));
    const log = join(folder, 'waiting.log');
    while (!existsSync(log) || !readFileSync(log, 'utf8').includes('loaded')) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(await Promise.race([starting, Promise.resolve('waits')])).toBe('waits');
    areUp();
    const child = await starting;
    process.kill(child.pid, 'SIGKILL');
    await untilReported(2);
    expect(reported[1]).toBe('waiting is running again.');
  });

  it('that crashes is restarted, and the report names its log', async () => {
    const child = await supervisor.start(spec('crashing', ready));
    process.kill(child.pid, 'SIGKILL');
    await untilReported(2);
    expect(reported).toEqual([
      `crashing was ended by SIGKILL; restart in 0.01 s. Log: ${join(folder, 'crashing.log')}`,
      'crashing is running again.',
    ]);
  });

  it('that fails to restart is retried until it starts', async () => {
    // Becomes ready at the first and the fourth start; in between it exits with code 3.
    const program = `const fs = require('fs'); fs.appendFileSync(process.env.MARK, 'x');
      if ([1, 4].includes(fs.statSync(process.env.MARK).size)) { ${ready} } else process.exit(3);`;
    const child = await supervisor.start(spec('returning', program));
    process.kill(child.pid, 'SIGKILL');
    await untilReported(4);
    expect(reported.map((line) => line.replace(/; restart.*/, ''))).toEqual([
      'returning was ended by SIGKILL',
      'returning could not be started (ended with code 3)',
      'returning could not be started (ended with code 3)',
      'returning is running again.',
    ]);
  });

  it('leaves no listener on the signal of the stack at any of its starts', async () => {
    const stack = new AbortController();
    for (let starts = 0; starts < 3; starts += 1) {
      const child = await startChild(spec('restarting', ready), { signal: stack.signal });
      await child.stop();
    }
    expect(getEventListeners(stack.signal, 'abort')).toEqual([]);
  });

  it('that exits before it is ready fails the start with its last lines of output', async () => {
    const start = supervisor.start(spec('failing', `console.error('no such table'); process.exit(2)`));
    await expect(start).rejects.toThrow('failing ended with code 2\n    no such table');
    expect(reported).toEqual([]);
  });

  it('that does not become ready in time fails the start and is killed', async () => {
    const start = supervisor.start(
      spec('silent', `console.log(process.pid); setInterval(() => {}, 1000)`, { readyTimeoutMs: 300 }),
    );
    await expect(start).rejects.toThrow('silent was not ready after 0.3 s');
    const pid = Number(readFileSync(join(folder, 'silent.log'), 'utf8'));
    expect(survivors([pid])).toEqual([]);
  });

  it('whose program does not exist fails the start with its name', async () => {
    const start = supervisor.start(spec('missing', '', { command: '/no/such/program' }));
    await expect(start).rejects.toThrow(/missing could not be started: .*ENOENT/);
  });

  it('is stopped before the services it depends on', async () => {
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

  it('writes its whole output to its log', async () => {
    await supervisor.start(spec('talking', `console.log('one'); console.error('two'); ${ready}`));
    await supervisor.stop();
    expect(readFileSync(join(folder, 'talking.log'), 'utf8').trim().split('\n').sort()).toEqual(['one', 'two']);
  });
});

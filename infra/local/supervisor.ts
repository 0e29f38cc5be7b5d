import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../contracts/errors.js';
import { crashesInRow, restartDelayMs } from './backoff.js';
import type { ChildSpec } from './child-spec.js';
import { openLogFile, type LogFile } from './log-file.js';
import type { RunFile } from './run-file.js';
import { describeExit, signalProcess, startChild, type RunningChild } from './running-child.js';

export interface SupervisorOptions {
  logsFolder: string;
  runFile: RunFile;
  /** Reports a crash or restart to the user, in one line. */
  report: (line: string) => void;
  /** Delay before a crashed process is restarted; tests shorten it. */
  delayMs?: typeof restartDelayMs;
}

export interface Supervisor {
  /** Starts a process, waits until it is ready, and restarts it whenever it exits. */
  start(spec: ChildSpec): Promise<RunningChild>;
  /** Stops all processes: the smallest `stopOrder` first, equal ones together. */
  stop(): Promise<void>;
  /** Kills all processes at once. */
  kill(): void;
}

interface Watched {
  spec: ChildSpec;
  log: LogFile;
  pid: number | null;
  child: RunningChild | null;
  /** Resolves when the process is gone and will not be restarted. */
  over: Promise<void>;
}

/** Restarts processes that crash. The output of each goes to `<logsFolder>/<name>.log`. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const watched: Watched[] = [];
  const stopping = new AbortController();
  return {
    start: async (spec) => {
      if (stopping.signal.aborted) throw new Error(`${spec.name} is not started, because the stack stops.`);
      const log = openLogFile(join(options.logsFolder, `${spec.name}.log`));
      const entry: Watched = { spec, log, pid: null, child: null, over: Promise.resolve() };
      watched.push(entry);
      const launched = launch(entry, options.runFile, stopping.signal);
      entry.over = launched.then(ignore, ignore);
      const child = await launched;
      entry.over = keepAlive(entry, child, stopping.signal, options);
      return child;
    },
    stop: async () => {
      stopping.abort();
      const orders = [...new Set(watched.map(({ spec }) => spec.stopOrder))].sort((a, b) => a - b);
      for (const order of orders) await Promise.all(watched.filter(({ spec }) => spec.stopOrder === order).map(end));
      options.runFile.clear();
    },
    kill: () => {
      stopping.abort();
      for (const { pid } of watched) if (pid !== null) signalProcess(-pid, 'SIGKILL');
    },
  };
}

/** Also ends a process that is being started: first its start ends, then the process. */
async function end(entry: Watched): Promise<void> {
  await entry.child?.stop();
  await entry.over;
  await entry.child?.stop();
  await entry.over;
  entry.log.close();
}

function ignore(): void {
  return;
}

async function launch(entry: Watched, runFile: RunFile, signal: AbortSignal): Promise<RunningChild> {
  const { name, stopSignal } = entry.spec;
  const onSpawn = ({ pid, startedAt }: { pid: number; startedAt: string }): void => {
    entry.pid = pid;
    runFile.add({ name, pid, startedAt, stopSignal });
  };
  const child = await startChild(entry.spec, { onLine: entry.log.write, onSpawn, signal });
  entry.child = child;
  void child.exited.then(() => {
    entry.pid = null;
    runFile.remove(child.pid);
  });
  return child;
}

/** Restarts a process whenever it exits, with growing delays, until the stack stops. */
async function keepAlive(
  entry: Watched,
  first: RunningChild,
  signal: AbortSignal,
  { report, runFile, logsFolder, delayMs = restartDelayMs }: SupervisorOptions,
): Promise<void> {
  const { name } = entry.spec;
  const reportFailure = (what: string): void =>
    report(`${name} ${what}; restart in ${delayMs(crashes) / 1000} s. Log: ${join(logsFolder, `${name}.log`)}`);
  const isOver = (): boolean => signal.aborted;
  let crashes = 0;
  let child: RunningChild | null = first;
  let startedMs = Date.now();
  for (;;) {
    if (child !== null) {
      const exit = await child.exited;
      if (isOver()) return;
      crashes = crashesInRow(crashes, Date.now() - startedMs);
      reportFailure(describeExit(exit));
    }
    await sleep(delayMs(crashes), undefined, { signal }).catch(() => undefined);
    if (isOver()) return;
    startedMs = Date.now();
    try {
      child = await launch(entry, runFile, signal);
      report(`${name} is running again.`);
    } catch (error) {
      child = null;
      crashes += 1;
      if (!isOver()) reportFailure(`could not be started (${reasonOf(name, error)})`);
    }
  }
}

/** The first line of a failed start, and the last line of its output, which names the cause. */
function reasonOf(name: string, error: unknown): string {
  const lines = messageOf(error)
    .replace(`${name} `, '')
    .replace('could not be started: ', '')
    .split('\n')
    .map((line) => line.trim());
  return [...new Set([lines[0], lines.at(-1)])].join(': ').slice(0, 300);
}

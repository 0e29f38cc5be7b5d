import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { crashesInRow, restartDelayMs } from './backoff.js';
import type { ChildSpec } from './child-spec.js';
import { openLogFile, type LogFile } from './log-file.js';
import type { RunFile } from './run-file.js';
import { describeExit, signalProcess, startChild, type RunningChild } from './running-child.js';

export interface SupervisorOptions {
  logsFolder: string;
  runFile: RunFile;
  /** Tells the user, in one line, what happened to a process. */
  say: (line: string) => void;
  /** Delay before a crashed process is started again; tests shorten it. */
  delayMs?: typeof restartDelayMs;
}

export interface Supervisor {
  /** Starts a process, waits until it is ready, and from then on starts it again when it crashes. */
  start(spec: ChildSpec): Promise<RunningChild>;
  /** Stops everything: the smallest `stopOrder` first, those of one order at once. */
  stop(): Promise<void>;
  /** Kills everything at once. */
  kill(): void;
}

interface Watched {
  spec: ChildSpec;
  log: LogFile;
  pid: number | null;
  child: RunningChild | null;
  /** Settles when the process is gone and will not come back. */
  over: Promise<void>;
}

/** Keeps processes alive. Each writes to `<logsFolder>/<name>.log`. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const watched: Watched[] = [];
  const stopping = new AbortController();
  return {
    start: async (spec) => {
      const log = openLogFile(join(options.logsFolder, `${spec.name}.log`));
      const entry: Watched = { spec, log, pid: null, child: null, over: Promise.resolve() };
      watched.push(entry);
      const child = await launch(entry, options.runFile, stopping.signal);
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

async function end({ child, over, log }: Watched): Promise<void> {
  await child?.stop();
  await over;
  log.close();
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

/** Starts a process again whenever it ends by itself, with growing pauses, until the stack stops. */
async function keepAlive(
  entry: Watched,
  first: RunningChild,
  signal: AbortSignal,
  { say, runFile, logsFolder, delayMs = restartDelayMs }: SupervisorOptions,
): Promise<void> {
  const { name } = entry.spec;
  const tell = (what: string): void =>
    say(`${name} ${what}; next start in ${delayMs(crashes) / 1000} s. Its log: ${join(logsFolder, `${name}.log`)}`);
  const isOver = (): boolean => signal.aborted;
  let crashes = 0;
  let child: RunningChild | null = first;
  let startedMs = Date.now();
  for (;;) {
    if (child !== null) {
      const exit = await child.exited;
      if (isOver()) return;
      crashes = crashesInRow(crashes, Date.now() - startedMs);
      tell(describeExit(exit));
    }
    await sleep(delayMs(crashes), undefined, { signal }).catch(() => undefined);
    if (isOver()) return;
    startedMs = Date.now();
    child = await launch(entry, runFile, signal).catch(() => null);
    if (child !== null) {
      say(`${name} runs again.`);
    } else {
      crashes += 1;
      if (!isOver()) tell('could not be started');
    }
  }
}

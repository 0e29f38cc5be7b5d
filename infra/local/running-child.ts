import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { systemCodeOf } from '../../contracts/errors.js';
import type { BeginMessage } from '../../contracts/process.js';
import { identifyProcess } from '../setup/process-identity.mjs';
import type { ChildSpec } from './child-spec.js';

export interface ExitInfo {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The last lines of its output, for the error message. */
  lastLines: string[];
}

export interface RunningChild {
  pid: number;
  startedAt: string;
  /** The address in its ready message; null when it sent none. */
  url: string | null;
  exited: Promise<ExitInfo>;
  /** Sends the stop signal, and kills the process group after the grace period. Resolves when the process is gone. */
  stop(): Promise<void>;
}

const readyMessage = z.object({ type: z.literal('ready'), url: z.string().optional() });
const keptLines = 20;
const probeEveryMs = 50;
const outputGraceMs = 1_000;

export interface StartOptions {
  /** Called with every line of output. */
  onLine?: (line: string) => void;
  /** Called as soon as the process exists, before it is ready. */
  onSpawn?: (child: { pid: number; startedAt: string }) => void;
  /** Aborts the start and stops the process. */
  signal?: AbortSignal;
}

/**
 * Starts a process in its own process group and waits until it is ready. When it ends or does not become ready in time,
 * stops it and throws an error with its last lines of output.
 */
export async function startChild(spec: ChildSpec, options: StartOptions = {}): Promise<RunningChild> {
  await spec.prepare?.();
  const lastLines: string[] = [];
  const { child, pid } = await spawnChild(spec);
  const startedAt = identifyProcess(pid)?.startedAt ?? '';
  options.onSpawn?.({ pid, startedAt });
  const readyByMessage = waitForMessage(child);
  // Services that cannot be started end the whole start.
  spec.servicesUp?.then(() => tellToBegin(child), ignore);
  for (const stream of [child.stdout, child.stderr]) {
    readLines(stream, (line) => {
      lastLines.push(line);
      if (lastLines.length > keptLines) lastLines.shift();
      options.onLine?.(line);
    });
  }
  const exited = waitForExit(child, pid, lastLines);
  const stop = (): Promise<void> => stopChild(spec, pid, exited);
  const ready = spec.ready === 'message' ? readyByMessage : pollUntilTrue(spec.ready, exited);
  const started = new AbortController();
  const outcome = await Promise.race([
    ready.then((url) => ({ url })),
    exited.then((exit) => ({ fault: describeExit(exit) })),
    sleep(spec.readyTimeoutMs, { fault: `was not ready after ${spec.readyTimeoutMs / 1000} s` }, { ref: false }),
    untilAborted(options.signal, started.signal).then(() => ({ fault: 'was stopped during its start' })),
  ]);
  started.abort();
  if ('url' in outcome) return { pid, startedAt, url: outcome.url, exited, stop };
  await stop();
  throw new Error([`${spec.name} ${outcome.fault}`, ...lastLines.map((line) => `    ${line}`)].join('\n'));
}

/**
 * Kills the process group when the process exits, so that no child is left behind. Waits for the rest of the output, with
 * a limit: a process in another group may have inherited the stream and keep it open.
 */
function waitForExit(child: ChildProcess, pid: number, lastLines: string[]): Promise<ExitInfo> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      signalProcess(-pid, 'SIGKILL');
      const end = (): void => resolve({ code, signal, lastLines });
      child.once('close', end);
      setTimeout(end, outputGraceMs).unref();
    });
  });
}

/** The signal lives as long as the stack: the listener of each start is removed when `over` fires. */
function untilAborted(signal: AbortSignal | undefined, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    signal?.addEventListener('abort', () => resolve(), { once: true, signal: over });
  });
}

export function describeExit({ code, signal }: Pick<ExitInfo, 'code' | 'signal'>): string {
  return signal === null ? `ended with code ${String(code)}` : `was ended by ${signal}`;
}

function spawnChild(spec: ChildSpec): Promise<{ child: ChildProcess; pid: number }> {
  const stdio =
    spec.ready === 'message' ? (['ignore', 'pipe', 'pipe', 'ipc'] as const) : (['ignore', 'pipe', 'pipe'] as const);
  return new Promise((resolve, reject) => {
    const child = spawn(spec.command, spec.args, { env: spec.env, stdio: [...stdio], detached: true });
    // Also after the start: an error without a listener would end the supervisor.
    child.on('error', (error) => reject(new Error(`${spec.name} could not be started: ${error.message}`)));
    child.once('spawn', () => {
      if (child.pid !== undefined) resolve({ child, pid: child.pid });
    });
  });
}

function readLines(stream: Readable | null, onLine: (line: string) => void): void {
  if (stream === null) return;
  stream.on('error', ignore);
  createInterface({ input: stream }).on('line', onLine).on('error', ignore);
}

function tellToBegin(child: ChildProcess): void {
  const message: BeginMessage = { type: 'begin' };
  // Without a channel it has ended, which is reported as its exit.
  if (child.connected) child.send(message, ignore);
}

function ignore(): void {
  return;
}

function waitForMessage(child: ChildProcess): Promise<string | null> {
  return new Promise((resolve) => {
    child.on('message', (message) => {
      const parsed = readyMessage.safeParse(message);
      if (parsed.success) resolve(parsed.data.url ?? null);
    });
  });
}

async function pollUntilTrue(probe: () => Promise<boolean>, exited: Promise<unknown>): Promise<null> {
  const over = new AbortController();
  void exited.then(() => over.abort());
  while (!over.signal.aborted) {
    if (await probe()) return null;
    await sleep(probeEveryMs);
  }
  return new Promise<never>(() => undefined);
}

async function stopChild(spec: ChildSpec, pid: number, exited: Promise<unknown>): Promise<void> {
  const gone = exited.then(() => true);
  if (await Promise.race([gone, Promise.resolve(false)])) return;
  signalProcess(pid, spec.stopSignal);
  if (await Promise.race([gone, sleep(spec.graceMs, false, { ref: false })])) return;
  signalProcess(-pid, 'SIGKILL');
  await exited;
}

/** Sends a signal and ignores a process that is already gone. A negative `pid` means the process group. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!['ESRCH', 'EPERM'].includes(systemCodeOf(error))) throw error;
  }
}

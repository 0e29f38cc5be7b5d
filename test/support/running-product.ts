import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { freePorts } from '../../infra/local/ports.js';
import { packageRoot } from '../../platform/paths.js';
import { createApiClient, poll, type ApiClient } from './api-client.js';

const startTimeoutMs = 600_000;
const health = z.object({ model_loaded: z.boolean() });

/** The product as a user runs it: `npm start` on a separate data folder. */
export interface RunningProduct {
  api: ApiClient;
  url: string;
  pid: number;
  home: string;
  /** Resolves when set-up is complete and the stack begins to start. */
  isSetUp(): Promise<void>;
  /** Resolves when a model is served. */
  served(): Promise<void>;
  /** Resolves when it has printed everything about its start; the addresses come last. */
  settled(): Promise<void>;
  /** What it printed. */
  output(): string;
  /** SIGTERM; gives the exit code. */
  stop(): Promise<number | null>;
}

export async function startProduct(settings: Record<string, string> = {}, home?: string): Promise<RunningProduct> {
  const folder = home ?? (await mkdtemp(join(tmpdir(), 'perennial-product-')));
  const [port = 0] = await freePorts(1);
  const child = spawn(process.execPath, [join(packageRoot, 'infra/setup/start.mjs')], {
    cwd: packageRoot,
    env: { ...process.env, PERENNIAL_HOME: folder, PORT: String(port), ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
  const url = `http://127.0.0.1:${port}`;
  const ended = once(child, 'exit').then(() => {
    throw new Error(`npm start ended:\n${output}`);
  });
  ended.catch(() => undefined);
  const beforeItEnds = async (what: Promise<unknown>): Promise<void> => {
    await Promise.race([what, ended]);
  };
  const hasPrinted = (line: RegExp): Promise<unknown> =>
    poll(
      () => Promise.resolve(output),
      (printed) => line.test(printed),
      startTimeoutMs,
    );
  const api = createApiClient(url);
  return {
    api,
    url,
    pid: child.pid ?? 0,
    home: folder,
    output: () => output,
    served: () =>
      beforeItEnds(
        poll(
          async () => health.parse((await api.get('/health')).body),
          ({ model_loaded }) => model_loaded,
          startTimeoutMs,
        ),
      ),
    isSetUp: () => beforeItEnds(hasPrinted(/Set-up is complete/)),
    settled: () => beforeItEnds(hasPrinted(/To stop\s+Ctrl-C/)),
    stop: () => stopProduct(child, home === undefined ? folder : null),
  };
}

async function stopProduct(child: ChildProcess, temporaryHome: string | null): Promise<number | null> {
  if (child.exitCode === null) {
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  }
  if (temporaryHome) await rm(temporaryHome, { recursive: true, force: true });
  return child.exitCode;
}

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../../platform/paths.js';

/** The API as a separate process. */
export interface ServerProcess {
  child: ChildProcess;
  /** Everything it wrote so far. */
  log(): string;
  /** Resolves with the first message it sends, which says that it is ready and where. */
  ready: Promise<unknown>;
  exited: Promise<number | null>;
}

export function startServerProcess(environment: Readonly<Record<string, string>>): ServerProcess {
  const env = { PATH: process.env['PATH'] ?? '', ...environment };
  const child = fork(join(packageRoot, 'dist/api/server.js'), { env, silent: true, execArgv: [] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (log += chunk.toString()));
  return {
    child,
    log: () => log,
    ready: once(child, 'message').then(([message]: unknown[]) => message),
    exited: once(child, 'exit').then(([code]) => z.number().nullable().parse(code)),
  };
}

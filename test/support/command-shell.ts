import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { DocumentedStack } from './documented-stack.js';

/** What a command did. */
export interface Execution {
  exitCode: number;
  /** Output and errors. */
  output: string;
  /** The last answer of each call of curl, in no order. */
  answers: { status: number; location: string | null }[];
}

/** One shell for the commands of a page, which share variables, functions and the folder. */
export interface CommandShell {
  run(script: string): Promise<Execution>;
  stop(): Promise<void>;
}

/**
 * Starts bash in the folder of a stack. Its curl records the answers, and takes port 3000, which the pages name, for that
 * of the stack; nothing else about a command is changed.
 */
export function startShell({ folder, stack: { environment } }: DocumentedStack): CommandShell {
  const tools = join(folder, '.tools');
  const records = join(tools, 'records');
  rmSync(tools, { recursive: true, force: true });
  mkdirSync(records, { recursive: true });
  writeFileSync(join(tools, 'curl'), recordingCurl(records, environment['PORT'] ?? ''), { mode: 0o755 });
  const shell = spawn('bash', ['--noprofile', '--norc'], {
    cwd: folder,
    env: {
      ...process.env,
      PATH: `${tools}:${process.env['PATH'] ?? ''}`,
      // The page on datasets takes them from a file of the local stack.
      access_key_id: environment['S3_ACCESS_KEY_ID'],
      secret_access_key: environment['S3_SECRET_ACCESS_KEY'],
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exits = createInterface({ input: shell.stdout })[Symbol.asyncIterator]();
  const exited = once(shell, 'exit');
  shell.stdin.write('set -o pipefail\n');
  let count = 0;
  return {
    async run(script) {
      const output = join(tools, String((count += 1)));
      rmSync(records, { recursive: true });
      mkdirSync(records);
      shell.stdin.write(`{ ${script}\n} < /dev/null > ${output} 2>&1; echo $?\n`);
      const line = await exits.next();
      if (line.done === true) throw new Error(`the shell ended at ${script}`);
      return { exitCode: Number(line.value), output: readFileSync(output, 'latin1'), answers: answersIn(records) };
    },
    async stop() {
      shell.stdin.end();
      await exited;
    },
  };
}

function recordingCurl(records: string, apiPort: string): string {
  const real = spawnSync('sh', ['-c', 'command -v curl'], { encoding: 'utf8' }).stdout.trim();
  const redirected = ['localhost', '127.0.0.1']
    .map((host) => `--connect-to ${host}:3000:127.0.0.1:${apiPort}`)
    .join(' ');
  return `#!/bin/sh\nexec ${real} ${redirected} --verbose --stderr "${records}/$$" "$@"\n`;
}

function answersIn(records: string): Execution['answers'] {
  return readdirSync(records).map((name) => {
    const record = readFileSync(join(records, name), 'latin1');
    // The meter of a slow call may stand before them on the line.
    const [, status] = [...record.matchAll(/< HTTP\/1\.1 (\d{3})/g)].at(-1) ?? [];
    const [, location] = /< location: (\S+)/i.exec(record) ?? [];
    // Without an answer the record says why.
    if (status === undefined) throw new Error(`curl got no answer:\n${record}`);
    return { status: Number(status), location: location ?? null };
  });
}

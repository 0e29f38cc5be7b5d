import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Program {
  process: ChildProcess;
  /** Everything written so far. */
  output(): string;
  /** The first line that matches, already written or yet to come. Throws with the output when the program ends first. */
  line(pattern: RegExp): Promise<string>;
  /** The exit code, once it has ended; null after a signal. */
  ended: Promise<number | null>;
}

/** Starts a program in a child process. It is killed when the test process exits. */
export function startProgram(args: readonly string[], environment: Record<string, string | undefined> = {}): Program {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (text) => {
      lines.push(text);
      for (const listener of listeners) listener();
    });
  }
  const ended = once(child, 'close').then(() => {
    process.off('exit', killNow);
    return child.exitCode;
  });
  const output = (): string => lines.join('\n');
  return {
    process: child,
    output,
    ended,
    line: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = lines.find((text) => pattern.test(text));
          if (found === undefined) return;
          listeners.delete(look);
          resolve(found);
        };
        listeners.add(look);
        look();
        void ended.then(() => reject(new Error(`it ended without ${pattern.source}:\n${output()}`)));
      }),
  };
}

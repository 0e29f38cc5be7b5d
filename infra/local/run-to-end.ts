import { spawn } from 'node:child_process';

/** Runs a command to its end. Throws with the end of its output when it fails. */
export function runToEnd(
  command: string,
  args: readonly string[],
  { env, input }: { env: Record<string, string>; input: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    const take = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-4_000);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('error', (error) => reject(new Error(`${command} could not be started: ${error.message}`)));
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${[command, ...args].join(' ')} failed:\n${output.trimEnd()}`));
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

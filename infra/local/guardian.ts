import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { RunFile } from './run-file.js';

/**
 * Reads `+ <pid> <signal>` and `- <pid>` from its input. The input ends with the supervisor, however that dies: then the
 * processes that are left get their stop signal, and after ten seconds their groups are killed.
 */
const script = `
list=''
while read -r change pid signal; do
  rest=''
  for each in $list; do [ "\${each%%:*}" = "$pid" ] || rest="$rest $each"; done
  list=$rest
  [ "$change" = + ] && list="$list $pid:$signal"
done
for each in $list; do kill -s "\${each##*:}" "\${each%%:*}"; done
tries=0
while [ $tries -lt 100 ]; do
  alive=''
  for each in $list; do kill -0 "\${each%%:*}" && alive=yes; done
  [ "$alive" = yes ] || break
  sleep 0.1
  tries=$((tries + 1))
done
for each in $list; do kill -s KILL -- "-\${each%%:*}"; done
`;

/**
 * A run file whose processes end with this process: a small shell stops them when this process is killed, for instance by
 * the system for want of memory. Without a shell the next start stops them, as the run file tells it.
 */
export function guarded(runFile: RunFile): RunFile {
  const tell = startGuardian();
  return {
    add: (record) => {
      runFile.add(record);
      tell(`+ ${record.pid} ${record.stopSignal.replace('SIG', '')}\n`);
    },
    remove: (pid) => {
      runFile.remove(pid);
      tell(`- ${pid}\n`);
    },
    clear: () => runFile.clear(),
  };
}

function startGuardian(): (line: string) => void {
  try {
    const shell = spawn('/bin/sh', ['-c', script, 'perennial-guardian'], {
      stdio: ['pipe', 'ignore', 'ignore'],
      // Ctrl-C reaches the process group of the terminal; the guardian ends after the supervisor.
      detached: true,
    });
    shell.on('error', () => undefined);
    shell.unref();
    const input = shell.stdin;
    input.on('error', () => undefined);
    if (input instanceof Socket) input.unref();
    return (line) => void input.write(line);
  } catch {
    return () => undefined;
  }
}

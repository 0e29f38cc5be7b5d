import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

interface Row {
  pid: number;
  parent: number;
  residentMb: number;
  command: string;
}

const names: [string, string][] = [
  ['model-child', 'trainer'],
  ['workers/background-child', 'batch process'],
  ['workers/pipeline', 'pipeline worker'],
  ['workers/training', 'training worker'],
  ['api/server', 'api'],
  ['postgres', 'postgres'],
  ['versitygw', 's3 server'],
  ['temporal', 'temporal'],
  ['typescript/bin/tsc', 'set-up (tsc)'],
  ['infra/', 'supervisor'],
];

/** Measures the resident memory of a process and all its descendants, added up by process name. */
export interface MemoryWatch {
  now(): Promise<Map<string, number>>;
  peaks(): Map<string, number>;
  stop(): void;
}

export function watchMemory(rootPid: number, everyMs = 250): MemoryWatch {
  const peaks = new Map<string, number>();
  const now = async (): Promise<Map<string, number>> => {
    const sums = new Map<string, number>();
    for (const { command, residentMb } of descendants(await listProcesses(), rootPid)) {
      const name = names.find(([part]) => command.includes(part))?.[1] ?? 'other';
      sums.set(name, (sums.get(name) ?? 0) + residentMb);
    }
    for (const [name, mb] of sums) peaks.set(name, Math.max(peaks.get(name) ?? 0, mb));
    return sums;
  };
  const timer = setInterval(() => void now().catch(() => undefined), everyMs);
  return { now, peaks: () => peaks, stop: () => clearInterval(timer) };
}

export interface ProcessCost {
  /** Of all threads, also of those that have ended. */
  cpuMs: number;
  residentMb: number;
}

/** Whether this system tells what a process has cost. */
export const knowsCosts = process.platform === 'linux';

/** What a process and its descendants have cost until now. */
export async function costOf(rootPid: number): Promise<ProcessCost> {
  const family = descendants(await listProcesses(), rootPid);
  // A process may have ended since it was listed, as `ps` itself has.
  const times = await Promise.all(family.map(({ pid }) => cpuMsOf(`/proc/${pid}/stat`).catch(() => 0)));
  return {
    cpuMs: times.reduce((sum, ms) => sum + ms, 0),
    residentMb: family.reduce((sum, { residentMb }) => sum + residentMb, 0),
  };
}

/** The process that this one, or a child of it, has started with a program. Throws when there is none. */
export async function pidOf(program: string): Promise<number> {
  const family = descendants(await listProcesses(), process.pid);
  const found = family.find(({ command, pid }) => pid !== process.pid && command.includes(program));
  if (!found) throw new Error(`no process runs ${program}`);
  return found.pid;
}

/** The kernel counts in ticks of 10 ms on every architecture that Node runs on. */
const tickMs = 10;

/** CPU time in the `stat` file of a process or a thread. */
export async function cpuMsOf(statFile: string): Promise<number> {
  const text = await readFile(statFile, 'utf8');
  // The name, in brackets, may hold blanks. After it come the state (field 3) and the rest; 14 and 15 are the times.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

function descendants(rows: Row[], rootPid: number): Row[] {
  const family = new Set([rootPid]);
  // A child may be listed before its parent: repeat until no process is added.
  for (let size = 0; size !== family.size;) {
    size = family.size;
    for (const { pid, parent } of rows) if (family.has(parent)) family.add(pid);
  }
  return rows.filter(({ pid }) => family.has(pid));
}

async function listProcesses(): Promise<Row[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,rss=,args='], { maxBuffer: 10_000_000 });
  return stdout.split('\n').flatMap((line) => {
    const [pid, parent, rss, ...command] = line.trim().split(/\s+/);
    return rss === undefined
      ? []
      : [{ pid: Number(pid), parent: Number(parent), residentMb: Number(rss) / 1024, command: command.join(' ') }];
  });
}

import { cpus, loadavg } from 'node:os';

export interface Figure {
  what: string;
  value: string;
  target?: string;
}

/** Prints figures as a table, below a line with the machine and its load. */
export function printTable(title: string, figures: readonly Figure[]): void {
  const model = cpus()[0]?.model ?? 'unknown';
  const load = loadavg()
    .map((each) => each.toFixed(2))
    .join(' ');
  process.stdout.write(`\n## ${title}\n\n${cpus().length} × ${model}, Node ${process.versions.node}, load ${load}\n\n`);
  process.stdout.write('| figure | measured | target |\n| --- | --- | --- |\n');
  for (const { what, value, target } of figures) process.stdout.write(`| ${what} | ${value} | ${target ?? ''} |\n`);
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function perSecond(count: number, ms: number): string {
  return `${((1000 * count) / ms).toFixed(1)} images/s`;
}

export async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const startedAt = performance.now();
  const result = await work();
  return [result, performance.now() - startedAt];
}

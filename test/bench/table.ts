import { cpus, loadavg } from 'node:os';

export interface Figure {
  what: string;
  value: string;
  target?: string;
}

/** Prints figures as a table, below a line with the machine and its load. */
export function printTable(title: string, figures: readonly Figure[]): void {
  const rows = figures.map(({ what, value, target }) => [what, value, target ?? '']);
  printColumns(title, ['figure', 'measured', 'target'], rows);
}

/** The same with columns of one's own. */
export function printColumns(title: string, names: readonly string[], rows: readonly (readonly string[])[]): void {
  const model = cpus()[0]?.model ?? 'unknown';
  const load = loadavg()
    .map((each) => each.toFixed(2))
    .join(' ');
  process.stdout.write(`\n## ${title}\n\n${cpus().length} × ${model}, Node ${process.versions.node}, load ${load}\n\n`);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  process.stdout.write([names, names.map(() => '---'), ...rows].map(line).join(''));
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

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { loadReportSchema, type LoadOrder, type LoadReport } from './load-client.js';

/** Puts a load on a server from a separate process, and returns the responses. */
export async function putLoad(order: LoadOrder): Promise<LoadReport> {
  const child = fork(new URL('./load-client.js', import.meta.url), { execArgv: [] });
  const answered = once(child, 'message').then(([message]: unknown[]) => message);
  child.send(order);
  const message = await answered;
  if (child.exitCode === null) await once(child, 'exit');
  return loadReportSchema.parse(message);
}

export interface Summary {
  perSecond: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  ok: number;
  shed: number;
  /** Answers that are neither 200 nor 429, and connections that broke. */
  failed: number;
}

export function summarize({ seconds, statuses, answers }: LoadReport): Summary {
  const sorted = answers.map(([, latencyMs]) => latencyMs).sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? NaN;
  const all = Object.values(statuses).reduce((sum, count) => sum + count, 0);
  const [ok, shed] = [statuses['200'] ?? 0, statuses['429'] ?? 0];
  return {
    perSecond: ok / seconds,
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    p99Ms: at(0.99),
    ok,
    shed,
    failed: all - ok - shed,
  };
}

export function latencies({ p50Ms, p95Ms, p99Ms }: Summary): string {
  return [p50Ms, p95Ms, p99Ms].map((ms) => ms.toFixed(1)).join(' / ');
}

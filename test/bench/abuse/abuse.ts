import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchMemory } from '../processes.js';
import { latencies, putLoad, summarize } from '../serving/load.js';
import { startServingFixture, type ServingFixture } from '../serving/serving-fixture.js';
import { printTable, type Figure } from '../table.js';
import { abuseKinds, type AbuseKind } from './abusers.js';

const abusersPerKind = 4;
const honestPerSecond = 10;
const durationMs = 20_000;
/** Time for the API to finish what the last kind has left. */
const calmMs = 3_000;

/** An honest client at 10 predictions a second, alone and beside four abusers of each kind from another address. */
export async function benchAbuse(datasetDir: string): Promise<void> {
  const fixture = await startServingFixture(datasetDir);
  try {
    const figures: Figure[] = [];
    for (const kind of [null, ...abuseKinds]) {
      const variant = await fixture.serve({});
      figures.push({ what: kind ?? `alone, ${variant}`, value: await measure(fixture, kind), target: 'none failed' });
      await sleep(calmMs);
    }
    printTable(`Abuse: ${honestPerSecond} predictions a second beside ${abusersPerKind} abusers of each kind`, figures);
  } finally {
    await fixture.stop();
  }
}

async function measure(fixture: ServingFixture, kind: AbuseKind | null): Promise<string> {
  const abusers = kind === null ? null : await startAbusers(fixture.port, kind);
  const memory = watchMemory(process.pid);
  await eventLoopDelayMs(fixture.port);
  const load = { kind: 'open', perSecond: honestPerSecond, seed: 5 } as const;
  // An API that answers only once the abuse has ended must not hold up the measurement.
  const end = setTimeout(() => abusers?.kill('SIGKILL'), durationMs);
  const report = await putLoad({ port: fixture.port, requestFiles: fixture.requests['JPEG body'], durationMs, load });
  clearTimeout(end);
  abusers?.kill('SIGKILL');
  const delayMs = await eventLoopDelayMs(fixture.port);
  memory.stop();
  const summary = summarize(report);
  const peakMb = memory.peaks().get('api') ?? NaN;
  return (
    `${summary.ok} answered, p50 / p95 / p99 ${latencies(summary)} ms, ${summary.shed} refused, ${summary.failed} failed; ` +
    `peak memory ${peakMb.toFixed(0)} MB; longest event-loop delay ${delayMs}`
  );
}

async function startAbusers(port: number, abuse: AbuseKind): Promise<ChildProcess> {
  const child = fork(new URL('./abuser-process.js', import.meta.url), { execArgv: [] });
  const started = once(child, 'message');
  child.send({ abuse, port, clients: abusersPerKind });
  await started;
  return child;
}

/** The longest delay of the API's event loop since the last call: reading the metrics resets it. */
async function eventLoopDelayMs(port: number): Promise<string> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(30_000) });
    const seconds = /^nodejs_eventloop_lag_max_seconds ([\d.e+-]+)$/m.exec(await answer.text())?.[1];
    return `${(1_000 * Number(seconds)).toFixed(0)} ms`;
  } catch {
    return 'unknown: the API does not answer';
  }
}

import { printTable, type Figure } from '../table.js';
import { latencies, putLoad, summarize, type Summary } from './load.js';
import { startServingFixture } from './serving-fixture.js';

const minuteMs = 60_000;
const cellMs = 8_000;
const afterMs = 10_000;
const targetMs = 100;
const patientConnections = 16;
const hammering = [16, 64, 256];
/** Good answers a second at any load, of the most at one. */
const leastShare = 0.95;

/**
 * Clients that send again at once after a 429 must not take the machine from those that are let in, and clients
 * that wait are all served. Then a minute at twice the capacity: accepted requests stay fast, and the server recovers afterwards.
 */
export async function benchOverload(datasetDir: string): Promise<void> {
  const fixture = await startServingFixture(datasetDir);
  try {
    const variant = await fixture.serve({});
    const common = { port: fixture.port, requestFiles: fixture.requests['JPEG body'] };
    const closed = async (connections: number, hammers: boolean, durationMs = cellMs): Promise<Summary> =>
      summarize(await putLoad({ ...common, load: { kind: 'closed', connections, hammers }, durationMs }));
    await closed(8, false, 2_000);
    const capacity = (await closed(8, false)).perSecond;
    const patient = await closed(patientConnections, false);
    const cells: [number, Summary][] = [];
    for (const connections of hammering) cells.push([connections, await closed(connections, true)]);
    printTable(`Clients that ignore Retry-After, ${variant}`, [
      { what: 'capacity, 8 connections', value: `${capacity.toFixed(0)} requests/s` },
      {
        what: `${patientConnections} connections that wait`,
        value: `${patient.perSecond.toFixed(0)} requests/s, p50 / p95 / p99 ${latencies(patient)} ms, ${patient.shed} refused, ${patient.failed} failed`,
        target: 'none refused',
      },
      ...hammeringFigures(cells, Math.max(capacity, patient.perSecond)),
    ]);
    const open = (share: number, seed: number) => ({ kind: 'open', perSecond: share * capacity, seed }) as const;
    const over = summarize(await putLoad({ ...common, load: open(2, 1), durationMs: minuteMs }));
    const after = summarize(await putLoad({ ...common, load: open(0.5, 2), durationMs: afterMs }));
    printTable(`Overload, ${variant}`, [
      {
        what: 'a minute at twice the capacity, open loop: admitted',
        value: `${over.perSecond.toFixed(0)} requests/s, p50 / p95 / p99 ${latencies(over)} ms`,
        target: `p95 < ${targetMs} ms`,
      },
      { what: 'refused with 429, and anything else', value: `${over.shed}, ${over.failed}`, target: 'else 0' },
      {
        what: 'at half the capacity right after it',
        value: `${after.perSecond.toFixed(0)} requests/s, p99 ${after.p99Ms.toFixed(1)} ms, ${after.shed} refused`,
        target: 'none refused',
      },
    ]);
  } finally {
    await fixture.stop();
  }
}

function hammeringFigures(cells: readonly [number, Summary][], otherwise: number): Figure[] {
  const best = Math.max(otherwise, ...cells.map(([, { perSecond }]) => perSecond));
  return cells.map(([connections, summary]) => ({
    what: `${connections} connections that do not wait`,
    value: `${summary.perSecond.toFixed(0)} requests/s (${(summary.perSecond / best).toFixed(2)} of the best), p50 / p95 / p99 of the admitted ${latencies(summary)} ms, ${summary.shed} refused, ${summary.failed} failed`,
    target: `≥ ${leastShare}, p95 < ${targetMs} ms`,
  }));
}

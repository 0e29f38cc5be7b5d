import { printTable } from '../table.js';
import { latencies, putLoad, summarize } from './load.js';
import { startServingFixture } from './serving-fixture.js';

const minuteMs = 60_000;
const capacityMs = 8_000;
const afterMs = 10_000;
const targetMs = 100;

/** A minute at twice the capacity: accepted requests stay fast, the rest is refused, and the server recovers afterwards. */
export async function benchOverload(datasetDir: string): Promise<void> {
  const fixture = await startServingFixture(datasetDir);
  try {
    const variant = await fixture.serve({});
    const common = { port: fixture.port, requestFiles: fixture.requests['JPEG body'] };
    const closed = { kind: 'closed', connections: 8 } as const;
    await putLoad({ ...common, load: closed, durationMs: 2_000 });
    const capacity = summarize(await putLoad({ ...common, load: closed, durationMs: capacityMs })).perSecond;
    const open = (share: number, seed: number) => ({ kind: 'open', perSecond: share * capacity, seed }) as const;
    const over = summarize(await putLoad({ ...common, load: open(2, 1), durationMs: minuteMs }));
    const after = summarize(await putLoad({ ...common, load: open(0.5, 2), durationMs: afterMs }));
    printTable(`Overload, ${variant}`, [
      { what: 'capacity, 8 connections', value: `${capacity.toFixed(0)} requests/s` },
      {
        what: 'a minute at twice that, open loop: admitted',
        value: `${over.perSecond.toFixed(0)} requests/s, p50 / p95 / p99 ${latencies(over)} ms`,
        target: `p99 < ${targetMs} ms`,
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

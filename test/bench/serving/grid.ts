import { availableParallelism } from 'node:os';
import { variants } from '../../../contracts/registry/bundle.js';
import { printTable, type Figure } from '../table.js';
import { measureLimit } from './limit.js';
import { latencies, putLoad, summarize } from './load.js';
import { protocols } from './requests.js';
import { graphOf, startServingFixture, type ServingFixture } from './serving-fixture.js';

const connectionCounts = [1, 16, 64];
const warmUpMs = 1_000;
const durationMs = 6_000;
const limitMs = 4_000;

/**
 * Every protocol at 1, 16 and 64 connections, with both precision variants, with one and two inference threads, beside
 * the limit of the machine without a server. Clients that get 429 wait for the Retry-After time.
 */
export async function benchServing(datasetDir: string): Promise<void> {
  const fixture = await startServingFixture(datasetDir);
  try {
    for (const variant of variants) {
      for (const threads of [1, 2]) {
        const serves = await fixture.serve({ SERVING_VARIANT: variant, SERVING_THREADS: String(threads) });
        if (serves !== variant) throw new Error(`${serves} is served in place of ${variant}`);
        const title = `Serving, ${variant}, ${threads} inference thread${threads > 1 ? 's' : ''}`;
        printTable(title, await measure(fixture, variant));
      }
    }
  } finally {
    await fixture.stop();
  }
}

async function measure(fixture: ServingFixture, variant: string): Promise<Figure[]> {
  const cores = availableParallelism();
  const order = { modelPath: graphOf(fixture, variant), imagePaths: fixture.imagePaths, durationMs: limitMs };
  const limit = await measureLimit({ ...order, decodes: true }, cores);
  const bare = await measureLimit({ ...order, decodes: false }, cores);
  const figures: Figure[] = [
    { what: `limit: decode and ONNX Runtime on ${cores} cores`, value: `${limit.toFixed(0)} images/s` },
    { what: `limit without decode on ${cores} cores`, value: `${bare.toFixed(0)} images/s` },
  ];
  for (const protocol of protocols) {
    for (const connections of connectionCounts) {
      const load = { kind: 'closed', connections } as const;
      const common = { port: fixture.port, requestFiles: fixture.requests[protocol], load };
      await putLoad({ ...common, durationMs: warmUpMs });
      const summary = summarize(await putLoad({ ...common, durationMs }));
      if (summary.failed > 0) throw new Error(`${protocol}: ${summary.failed} requests failed`);
      figures.push({
        what: `${protocol}, ${connections} connections`,
        value: `${summary.perSecond.toFixed(0)} requests/s (${percent(summary.perSecond / limit)} of the limit), p50 / p95 / p99 ${latencies(summary)} ms, ${summary.shed} shed`,
        target: connections === 64 ? 'p95 < 100 ms' : connections === 16 ? '≥ 85 %' : '',
      });
    }
  }
  return figures;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

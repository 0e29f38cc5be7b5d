import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printTable, type Figure } from '../table.js';
import { latencies, putLoad, summarize, type Summary } from './load.js';
import { explainRequest } from './requests.js';
import { startServingFixture, type ServingFixture } from './serving-fixture.js';

const durationMs = 15_000;
/** Share of the capacity at which the costs are measured. */
const loadShare = 0.5;
const explainers = 8;

/** How explanations and the prediction log affect predictions. */
export async function benchServingCosts(datasetDir: string): Promise<void> {
  const fixture = await startServingFixture(datasetDir);
  try {
    const variant = await fixture.serve({});
    const perSecond = loadShare * (await capacityOf(fixture));
    const alone = await predict(fixture, perSecond);
    const explaining = explain(fixture);
    const beside = await predict(fixture, perSecond);
    const explanations = await explaining;
    await fixture.serve({ PREDICTION_LOG: 'false' });
    const unlogged = await predict(fixture, perSecond);
    const unloggedCapacity = await capacityOf(fixture);
    await fixture.serve({});
    const loggedCapacity = await capacityOf(fixture);
    printTable(`What it costs, ${variant}, /predict at ${perSecond.toFixed(0)} a second`, [
      figure('predictions alone', alone),
      figure(`predictions beside ${explainers} clients who want explanations all the time`, beside),
      {
        what: 'explanations meanwhile',
        value: `${explanations.perSecond.toFixed(1)} a second, ${explanations.shed} refused`,
      },
      figure('predictions without the log', unlogged),
      {
        what: 'capacity with the log and without',
        value: `${loggedCapacity.toFixed(0)} and ${unloggedCapacity.toFixed(0)} requests/s`,
      },
    ]);
  } finally {
    await fixture.stop();
  }
}

async function capacityOf(fixture: ServingFixture): Promise<number> {
  const order = { port: fixture.port, requestFiles: fixture.requests['JPEG body'], durationMs: 6_000 };
  return summarize(await putLoad({ ...order, load: { kind: 'closed', connections: 8 } })).perSecond;
}

async function predict(fixture: ServingFixture, perSecond: number): Promise<Summary> {
  const order = { port: fixture.port, requestFiles: fixture.requests['JPEG body'], durationMs };
  return summarize(await putLoad({ ...order, load: { kind: 'open', perSecond, seed: 3 } }));
}

async function explain(fixture: ServingFixture): Promise<Summary> {
  const [path = ''] = fixture.imagePaths;
  const file = join(fixture.folder, 'explain');
  await writeFile(file, explainRequest(await readFile(path)));
  const load = { kind: 'closed', connections: explainers } as const;
  return summarize(await putLoad({ port: fixture.port, requestFiles: [file], durationMs, load }));
}

function figure(what: string, summary: Summary): Figure {
  return { what, value: `p50 / p95 / p99 ${latencies(summary)} ms, ${summary.shed} refused, ${summary.failed} failed` };
}

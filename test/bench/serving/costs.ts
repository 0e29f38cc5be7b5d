import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printTable, type Figure } from '../table.js';
import { latencies, putLoad, summarize, type Summary } from './load.js';
import { explainRequest } from './requests.js';
import { startServingWorld, type ServingWorld } from './world.js';

const durationMs = 15_000;
/** Share of the capacity at which the costs are looked at. */
const loadShare = 0.5;
const explainers = 8;

/** What explanations cost those who predict, and what the log of predictions costs. */
export async function benchServingCosts(datasetDir: string): Promise<void> {
  const world = await startServingWorld(datasetDir);
  try {
    const variant = await world.serve({});
    const perSecond = loadShare * (await capacityOf(world));
    const alone = await predict(world, perSecond);
    const explaining = explain(world);
    const beside = await predict(world, perSecond);
    const explanations = await explaining;
    await world.serve({ PREDICTION_LOG: 'false' });
    const unlogged = await predict(world, perSecond);
    const unloggedCapacity = await capacityOf(world);
    await world.serve({});
    const loggedCapacity = await capacityOf(world);
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
    await world.stop();
  }
}

async function capacityOf(world: ServingWorld): Promise<number> {
  const order = { port: world.port, requestFiles: world.requests['JPEG body'], durationMs: 6_000 };
  return summarize(await putLoad({ ...order, load: { kind: 'closed', connections: 8 } })).perSecond;
}

async function predict(world: ServingWorld, perSecond: number): Promise<Summary> {
  const order = { port: world.port, requestFiles: world.requests['JPEG body'], durationMs };
  return summarize(await putLoad({ ...order, load: { kind: 'open', perSecond, seed: 3 } }));
}

async function explain(world: ServingWorld): Promise<Summary> {
  const [path = ''] = world.imagePaths;
  const file = join(world.folder, 'explain');
  await writeFile(file, explainRequest(await readFile(path)));
  const load = { kind: 'closed', connections: explainers } as const;
  return summarize(await putLoad({ port: world.port, requestFiles: [file], durationMs, load }));
}

function figure(what: string, summary: Summary): Figure {
  return { what, value: `p50 / p95 / p99 ${latencies(summary)} ms, ${summary.shed} refused, ${summary.failed} failed` };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { printTable } from '../table.js';
import { latencies, putLoad, summarize } from './load.js';
import { startServingFixture, type ServingFixture } from './serving-fixture.js';

const usualMinutes = 10;
const swapEveryMs = 20_000;
const loadShare = 0.7;
/** Two stay loaded: with a third one, every change loads a model. */
const versions = 3;

/**
 * Minutes at 70 % of the capacity while models change, Postgres pauses (once, in the third), and inference threads die. Ten,
 * or as many as are wanted: `npm run bench -- endurance 3`.
 */
export async function benchEndurance(datasetDir: string, wanted: readonly string[]): Promise<void> {
  const minutes = wanted.map(Number).find((number) => number > 0) ?? usualMinutes;
  const totalMs = minutes * 60_000;
  const fixture = await startServingFixture(datasetDir, { versions, withFaults: true });
  try {
    const variant = await fixture.serve({});
    const common = { port: fixture.port, requestFiles: fixture.requests['JPEG body'] };
    const capacity = summarize(
      await putLoad({ ...common, load: { kind: 'closed', connections: 8 }, durationMs: 8_000 }),
    ).perSecond;
    const load = { kind: 'open', perSecond: loadShare * capacity, seed: 4 } as const;
    const loaded = putLoad({ ...common, load, durationMs: totalMs });
    const troubles = await trouble(fixture, performance.now() + totalMs - 5_000);
    const summary = summarize(await loaded);
    printTable(`${minutes} minutes at ${load.perSecond.toFixed(0)} requests/s, ${variant}`, [
      { what: 'changes of model, inference threads killed, restarts of Postgres', value: troubles.join(', ') },
      { what: 'answered', value: `${summary.ok}, p50 / p95 / p99 ${latencies(summary)} ms` },
      { what: 'refused with 429', value: String(summary.shed) },
      { what: 'failed', value: String(summary.failed), target: '0' },
    ]);
  } finally {
    await fixture.stop();
  }
}

/** Returns how often each fault was caused. */
async function trouble(fixture: ServingFixture, untilMs: number): Promise<number[]> {
  let [swaps, kills, restarts] = [0, 0, 0];
  for (let round = 1; performance.now() + swapEveryMs < untilMs; round += 1) {
    await sleep(swapEveryMs / 2);
    await swapTo(fixture, 1 + (round % versions));
    swaps += 1;
    await sleep(swapEveryMs / 2);
    if (round % 3 === 0) {
      fixture.killThread();
      kills += 1;
    }
    if (round === 8) {
      await fixture.stack.services.postgres.pause();
      await sleep(5_000);
      await fixture.stack.services.postgres.resume();
      restarts += 1;
    }
  }
  return [swaps, kills, restarts];
}

/** Puts a previous version back into Production. */
async function swapTo({ api, modelName }: ServingFixture, version: number): Promise<void> {
  const path = `/api/v1/mlops/models/${modelName}/rollback`;
  const { status, body } = await api.post(path, { version, reason: 'bench' });
  if (status !== 200) throw new Error(`the rollback answered ${status}: ${JSON.stringify(body)}`);
}

import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { packageRoot } from '../../../platform/paths.js';
import { median } from '../peer/comparison.js';
import { costOf, knowsCosts, pidOf } from '../processes.js';
import { printColumns } from '../table.js';
import { putLoad, summarize } from './load.js';
import { startServingFixture } from './serving-fixture.js';

const [rounds, connections, warmUpMs, durationMs, sampleMs] = [2, 16, 3_000, 15_000, 500];

/** What is used of the fixture, also of an earlier commit. */
interface Fixture {
  port: number;
  requests: Record<'JPEG body', string[]>;
  serve(settings: Record<string, string>): Promise<string>;
  stop(): Promise<void>;
}

interface Commit {
  name: string;
  /** The program of its API. */
  program: string;
  fixture: Fixture;
}

/**
 * Resident memory of the API under load, after each start anew: of this folder and, in turns, of another one with a built
 * checkout of an earlier commit: `npm run bench -- memory ../before`.
 */
export async function benchMemory(datasetDir: string, wanted: readonly string[]): Promise<void> {
  if (!knowsCosts) return void process.stdout.write('memory is skipped: /proc has it, which this system lacks\n');
  const others = wanted.filter((each) => each.includes('/')).map((each) => resolve(each));
  const commits: Commit[] = [];
  try {
    for (const folder of [...others, packageRoot]) commits.push(await open(folder, datasetDir));
    const rows: string[][] = [];
    for (let round = 1; round <= rounds; round += 1) {
      for (const commit of commits) rows.push([String(round), commit.name, ...(await measure(commit))]);
    }
    printColumns(`Resident memory of the API, ${connections} connections, int8, no cache`, columns, rows);
  } finally {
    for (const { fixture } of commits) await fixture.stop();
  }
}

const columns = ['turn', 'folder', 'MB before the load', 'median MB', 'peak MB', 'good answers/s'];

const fixtureModule = z.object({
  startServingFixture: z.custom<(datasetDir: string) => Promise<Fixture>>((value) => typeof value === 'function'),
});

async function open(folder: string, datasetDir: string): Promise<Commit> {
  const isThis = folder === packageRoot;
  const path = join(folder, 'dist', 'test', 'bench', 'serving', 'serving-fixture.js');
  const start = isThis
    ? startServingFixture
    : fixtureModule.parse(await import(pathToFileURL(path).href)).startServingFixture;
  const program = join(folder, 'dist', 'api', 'server.js');
  return { name: isThis ? 'this one' : folder, program, fixture: await start(datasetDir) };
}

async function measure({ program, fixture }: Commit): Promise<string[]> {
  await fixture.serve({ SERVING_VARIANT: 'int8', PREDICTION_CACHE_ITEMS: '0' });
  const pid = await pidOf(program);
  const { residentMb: before } = await costOf(pid);
  const order = {
    port: fixture.port,
    requestFiles: fixture.requests['JPEG body'],
    load: { kind: 'closed', connections, hammers: false },
  } as const;
  await putLoad({ ...order, durationMs: warmUpMs });
  const samples: number[] = [];
  const timer = setInterval(() => void costOf(pid).then(({ residentMb }) => samples.push(residentMb)), sampleMs);
  const { perSecond } = summarize(await putLoad({ ...order, durationMs }));
  clearInterval(timer);
  return [before, median(samples), Math.max(...samples), perSecond].map((value) => value.toFixed(0));
}

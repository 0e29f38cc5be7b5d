import { availableParallelism } from 'node:os';
import { variants } from '../../../contracts/registry/bundle.js';
import { cpuMsOf, costOf, knowsCosts } from '../processes.js';
import { printColumns } from '../table.js';
import { measureHttp } from './budget-http.js';
import { measurePhases, readMaterial, type Cost } from './budget-phases.js';
import { measureLimit } from './limit.js';
import { putLoad, summarize } from './load.js';
import { graphOf, startServingFixture, type ServingFixture } from './serving-fixture.js';

const warmUpMs = 8_000;
const durationMs = 8_000;
const limitMs = 5_000;

/** Phases in the order of a request, with the thread that works on them. */
const phases = [
  ['accept', 'main', 'accept and close a connection, both ends (once a connection)'],
  ['head', 'main', "accept, head, body and answer on Node's bare HTTP server"],
  ['routes', 'main', 'middleware, route, reading the body, form, answer, log line'],
  ['form', 'main', '– of which the form'],
  ['answer', 'main', '– of which the text of the answer'],
  ['hash', 'main', 'SHA-256 of the image'],
  ['admission', 'main', 'admission'],
  ['hop', 'both', 'hop: dispatch, messages both ways, waking up'],
  ['decode', 'inference', 'decode'],
  ['resize', 'inference', 'resize'],
  ['network', 'inference', 'network, with features'],
  ['activations', 'inference', 'class activations, only for explanations'],
  ['nearest', 'inference', 'nearest training image'],
  ['metrics', 'main', 'metrics of the prediction'],
  ['log', 'main, libuv', 'prediction log: row and journal, without the statement'],
] as const;

/** Where the time of a prediction goes, beside the limit of the machine. Prints the tables of docs/serving.md. */
export async function benchBudget(datasetDir: string): Promise<void> {
  const fixture = await startServingFixture(datasetDir);
  try {
    const variant = variants.find((each) => each === 'int8') ?? 'fp32';
    await fixture.serve({ SERVING_VARIANT: variant });
    const live = [await measureServer(fixture, 1), await measureServer(fixture, 16)];
    const limits = await measureLimits(fixture, variant);
    const { bundleFolder, requests, imagePaths } = fixture;
    const material = await readMaterial(imagePaths, requests['JPEG form']);
    const costs = await measurePhases({ ...material, bundleFolder, variant });
    for (const [name, cost] of Object.entries(await measureHttp(requests['JPEG form']))) costs.set(name, cost);
    printColumns(`Budget of a form with a JPEG, ${variant}: each phase alone`, columns, phaseRows(costs));
    printColumns(
      `Budget of a form with a JPEG, ${variant}: in the server`,
      ['figure', '1 connection', '16'],
      [...serverRows(live), ...limits],
    );
  } finally {
    await fixture.stop();
  }
}

const columns = ['phase', 'thread', 'CPU µs', 'wall µs'];

function phaseRows(costs: ReadonlyMap<string, Cost>): string[][] {
  return phases.flatMap(([name, thread, what]) => {
    const cost = costs.get(name);
    return cost === undefined ? [] : [[what, thread, cost.cpuUs.toFixed(0), cost.wallUs.toFixed(0)]];
  });
}

type Live = Record<(typeof liveFigures)[number][0], number>;
const liveFigures = [
  ['good', 'good answers/s'],
  ['wall', 'wall µs, median, as the client sees it'],
  ['queue', '– of which waiting for a thread, mean'],
  ['decode', '– of which decode and resize, mean'],
  ['infer', '– of which network, mean'],
  ['main', 'CPU µs of the main thread'],
  ['other', 'CPU µs of the other threads'],
  ['refused', 'refused, %'],
] as const;

function serverRows(live: readonly Live[]): string[][] {
  return liveFigures.map(([name, what]) => [what, ...live.map((each) => each[name].toFixed(0))]);
}

/** The API as shipped, without its cache. CPU times are those of one good answer, refusals included. */
async function measureServer(fixture: ServingFixture, connections: number): Promise<Live> {
  const order = { port: fixture.port, requestFiles: fixture.requests['JPEG form'] };
  const load = { kind: 'closed', connections } as const;
  await putLoad({ ...order, load, durationMs: warmUpMs });
  const [before, phasesBefore] = [await threadsOf(fixture.apiPid()), await phasesOf(fixture.port)];
  const summary = summarize(await putLoad({ ...order, load, durationMs }));
  const [after, phasesAfter] = [await threadsOf(fixture.apiPid()), await phasesOf(fixture.port)];
  const meanUs = (phase: string): number => {
    const [sum, count] = ['sum', 'count'].map(
      (each) => (phasesAfter.get(phase + each) ?? 0) - (phasesBefore.get(phase + each) ?? 0),
    );
    return (1e6 * (sum ?? 0)) / (count ?? 0);
  };
  const cpuUs = (name: 'main' | 'other'): number => (1000 * (after[name] - before[name])) / summary.ok;
  return {
    good: summary.perSecond,
    wall: 1000 * summary.p50Ms,
    queue: meanUs('queue'),
    decode: meanUs('decode'),
    infer: meanUs('infer'),
    main: cpuUs('main'),
    other: cpuUs('other'),
    refused: (100 * summary.shed) / (summary.ok + summary.shed),
  };
}

async function threadsOf(pid: number): Promise<{ main: number; other: number }> {
  if (!knowsCosts) return { main: NaN, other: NaN };
  const [main, { cpuMs }] = [await cpuMsOf(`/proc/${pid}/task/${pid}/stat`), await costOf(pid)];
  return { main, other: cpuMs - main };
}

/** Sums and counts of the phases in the server's metrics. */
async function phasesOf(port: number): Promise<Map<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const series = text.matchAll(/^mlops_prediction_phase_seconds_(sum|count)\{phase="(\w+)"\} (\S+)$/gm);
  return new Map(Array.from(series, ([, kind = '', phase = '', value]) => [phase + kind, Number(value)]));
}

/** The fastest decoder found and ONNX Runtime on all cores, without a server. */
async function measureLimits(fixture: ServingFixture, variant: string): Promise<string[][]> {
  const cores = availableParallelism();
  const order = { modelPath: graphOf(fixture, variant), imagePaths: fixture.imagePaths, durationMs: limitMs };
  const limits = [
    [`limit: TurboJPEG, nearest pixels, ONNX Runtime, images/s on one core and on ${cores}`, true],
    [`limit without decoding, images/s on one core and on ${cores}`, false],
  ] as const;
  const rows: string[][] = [];
  for (const [what, decodes] of limits) {
    const rates = [await measureLimit({ ...order, decodes }, 1), await measureLimit({ ...order, decodes }, cores)];
    rows.push([what, ...rates.map((rate) => rate.toFixed(0))]);
  }
  return rows;
}

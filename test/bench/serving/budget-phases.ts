import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { predictionView } from '../../../api/inference/prediction-answer.js';
import type { Predicted } from '../../../api/inference/predictor.js';
import { createApiMetrics } from '../../../api/metrics.js';
import { filesOf, parseForm } from '../../../api/http/body/parse-form.js';
import { createPredictionJournal } from '../../../api/predictions/log/prediction-journal.js';
import { createPredictionLog } from '../../../api/predictions/log/prediction-log.js';
import { onnxNames, type Variant } from '../../../contracts/registry/bundle.js';
import { predictAnswerSchema } from '../../../contracts/inference/http-explanations.js';
import { inputSize } from '../../../contracts/training/training.js';
import { decodePixels, setThreadsPerImage } from '../../../model/images/decode.js';
import { minimumSide } from '../../../model/images/header.js';
import { resample } from '../../../model/images/resample.js';
import { openCoreset } from '../../../model/serving/coreset.js';
import { createEngine } from '../../../model/serving/engine.js';
import { readBundle } from '../../../model/serving/read-bundle.js';
import { createLogger } from '../../../platform/logging.js';
import { sha256Of } from '../../../platform/sha256.js';
import { servedOf } from '../../support/fake-model.js';

/** What one run of a phase takes. */
export interface Cost {
  cpuUs: number;
  wallUs: number;
}

export interface Material {
  images: readonly Uint8Array[];
  /** Bodies of forms with these images. */
  forms: readonly Buffer[];
  contentType: string;
  bundleFolder: string;
  variant: Variant;
}

const [batches, batchRuns] = [15, 60];
const limits = { maxPixels: 100_000_000, maxBytes: 20_000_000, minSide: minimumSide };

/** The cheapest of batches, each of many runs one after another: other work on the machine only adds to the cost. */
export async function measureCost(run: (index: number) => unknown): Promise<Cost> {
  const costs: Cost[] = [];
  // The first third warms up.
  for (let batch = -batches / 3; batch < batches; batch += 1) {
    const [before, startedAt] = [process.cpuUsage(), performance.now()];
    for (let index = 0; index < batchRuns; index += 1) await run(index);
    const { user, system } = process.cpuUsage(before);
    const wallUs = (1000 * (performance.now() - startedAt)) / batchRuns;
    if (batch >= 0) costs.push({ cpuUs: (user + system) / batchRuns, wallUs });
  }
  const least = (of: keyof Cost): number => Math.min(...costs.map((cost) => cost[of]));
  return { cpuUs: least('cpuUs'), wallUs: least('wallUs') };
}

/** What the functions of a prediction cost, each called alone with real images. */
export async function measurePhases(material: Material): Promise<Map<string, Cost>> {
  setThreadsPerImage(1);
  const image = (index: number): Uint8Array => material.images[index % material.images.length] ?? new Uint8Array();
  const form = (index: number): Buffer => material.forms[index % material.forms.length] ?? Buffer.alloc(0);
  const phases = new Map<string, Cost>();
  phases.set('form', await measureCost((index) => filesOf(parseForm(form(index), material.contentType, 20), 'file')));
  phases.set('hash', await measureCost((index) => sha256Of(image(index))));
  const decoded = await measureCost((index) => decodePixels(image(index), limits));
  const raw = { data: new Uint8Array(275 * 183 * 3).fill(127), width: 275, height: 183 };
  const resized = await measureCost(() => resample(raw));
  phases.set('decode', minus(decoded, resized)).set('resize', resized);
  for (const [name, cost] of await measureNetwork(material, await decodePixels(image(0), limits))) {
    phases.set(name, cost);
  }
  const predicted = await measureEngine(material, image, phases);
  for (const [name, cost] of await measureRecords(predicted)) phases.set(name, cost);
  return phases;
}

async function measureNetwork(material: Material, pixels: Uint8Array): Promise<[string, Cost][]> {
  const { graphs, references } = await readBundle(material.bundleFolder);
  const graph = Uint8Array.from(graphs[material.variant] ?? graphs.fp32);
  const session = await InferenceSession.create(graph, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const feeds = { [onnxNames.image]: new Tensor('uint8', pixels, [1, inputSize, inputSize, 3]) };
  const run = (names: readonly string[]): Promise<Cost> => measureCost(() => session.run(feeds, names));
  const network = await run([onnxNames.probabilities, onnxNames.features]);
  const all = session.outputNames.includes(onnxNames.classActivations) ? await run(session.outputNames) : network;
  const features = (await session.run(feeds, [onnxNames.features]))[onnxNames.features]?.data;
  await session.release();
  const costs: [string, Cost][] = [
    ['network', network],
    ['activations', minus(all, network)],
  ];
  if (references === null || !(features instanceof Float32Array)) return costs;
  const coreset = openCoreset(references.shared);
  costs.push(['nearest', await measureCost(() => coreset.nearest(features))]);
  return costs;
}

/** Admission, and what the engine adds to the work of its threads: messages both ways, dispatch, waking up. */
async function measureEngine(
  { bundleFolder, variant }: Material,
  image: (index: number) => Uint8Array,
  phases: Map<string, Cost>,
): Promise<Predicted> {
  const engine = await createEngine({
    bundleFolder,
    threads: 1,
    queueLimit: 64,
    limits,
    variant,
    latencyTargetMs: 100,
  });
  const whole = await measureCost((index) => engine.predictImage(image(index)));
  const inThread = ['decode', 'resize', 'network', 'nearest'].flatMap((name) => phases.get(name) ?? []);
  phases.set('admission', await measureCost(() => engine.admit(1)));
  phases.set('hop', inThread.reduce(minus, whole));
  const prediction = await engine.predictImage(image(0));
  await engine.close();
  const served = servedOf(engine);
  return { served, prediction, abstained: false, predictionId: '', latencyMs: 1 };
}

/** The answer's text, and the records of a prediction; the statement that inserts rows is not among them. */
async function measureRecords({ served, prediction, ...rest }: Predicted): Promise<[string, Cost][]> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-bench-'));
  const journal = createPredictionJournal(folder, () => Promise.resolve());
  const logger = createLogger('api', 'silent');
  const predictions = { add: () => Promise.resolve() };
  const log = createPredictionLog({ replica: 'bench', predictions, journal, logger, onDrop: () => undefined });
  const facts = { prediction, abstained: false, imageSha256: '0'.repeat(64), latencyMs: 1, route: 'predict' } as const;
  const metrics = createApiMetrics(() => 0);
  const predictionId = log.keep(served, facts);
  const answer = (): string =>
    JSON.stringify(predictAnswerSchema.parse(predictionView({ ...rest, served, prediction, predictionId })));
  const event = { of: 'image', served, prediction, latencyMs: 1, cached: null } as const;
  const costs: [string, Cost][] = [
    ['answer', await measureCost(answer)],
    ['metrics', await measureCost(() => metrics.onPredicted(event))],
    [
      'log',
      await measureCost((index) => {
        log.keep(served, facts);
        // As many rows at a time as come in a fifth of a second.
        return index === batchRuns - 1 ? log.flush() : undefined;
      }),
    ],
  ];
  await log.stop();
  await rm(folder, { recursive: true, force: true });
  return costs;
}

function minus(whole: Cost, part: Cost): Cost {
  return { cpuUs: whole.cpuUs - part.cpuUs, wallUs: whole.wallUs - part.wallUs };
}

/** The images and forms of requests that were written for a bench. */
export async function readMaterial(
  imagePaths: readonly string[],
  requestFiles: readonly string[],
): Promise<Pick<Material, 'images' | 'forms' | 'contentType'>> {
  const requests = await Promise.all(requestFiles.map((path) => readFile(path)));
  const contentType = /content-type: ([^\r]*)/i.exec(requests[0]?.toString('latin1', 0, 500) ?? '')?.[1] ?? '';
  const forms = requests.map((request) => Buffer.from(request.subarray(request.indexOf('\r\n\r\n') + 4)));
  return { images: await Promise.all(imagePaths.map((path) => readFile(path))), forms, contentType };
}

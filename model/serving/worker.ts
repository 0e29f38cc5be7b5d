import { parentPort, workerData } from 'node:worker_threads';
import { errorCodeOf, messageOf } from '../../contracts/errors.js';
import { requireValid } from '../../platform/validation/validate.js';
import { decodePixels, pixelBytes, setThreadsPerImage } from '../images/decode.js';
import { explainInThread, overlayInThread, type ExplainTools } from './explain-job.js';
import type { ExplainJob, OverlayJob } from './explain/messages.js';
import { requestSchema, threadSetupSchema, type Job, type JobOutcome, type Reply } from './messages.js';
import { nearest } from './nearest.js';
import { openSession } from './thread-session.js';

/** A thread of the serving engine: it has its own ONNX Runtime session, decodes images, and runs its jobs in order. */
const setup = threadSetupSchema.parse(workerData);
const { limits, references } = setup;
const decode = (bytes: Uint8Array): Promise<Uint8Array> => decodePixels(bytes, limits);

// There are as many threads as cores: a thread that used several would only slow the others.
setThreadsPerImage(1);
const session = await openSession(setup.model, references);
const tools: ExplainTools = {
  ...session,
  decode,
  nearest: (features, count) =>
    references === null ? [] : nearest(features, references, { among: references.rows, count }),
};
await session.infer(new Uint8Array(pixelBytes), 1, 1);
let lastAnswer = Promise.resolve();

parentPort?.on('message', (message: unknown) => {
  const request = requireValid(requestSchema, message, 'the request');
  if (request === null) void lastAnswer.then(end);
  else answerInOrder(request);
});
reply({ type: 'ready' });

/** Decodes at once, while the graph runs earlier jobs, and answers in order. */
function answerInOrder(jobs: readonly Job[]): void {
  const prepared = Promise.all(jobs.map(prepare));
  lastAnswer = lastAnswer.then(async () => reply({ type: 'done', outcomes: await answerAll(await prepared) }));
}

interface Pixels {
  kind: 'pixels';
  bytes: Uint8Array;
  count: number;
  batchSize: number;
  decodeMs: number;
}
type Prepared = Pixels | ExplainJob | OverlayJob | { kind: 'refused'; error: unknown };

async function prepare(job: Job): Promise<Prepared> {
  if (job.kind === 'pixels') return { ...job, decodeMs: 0 };
  if (job.kind !== 'image') return job;
  const startedAt = performance.now();
  try {
    const bytes = await decode(job.bytes);
    return { kind: 'pixels', bytes, count: 1, batchSize: 1, decodeMs: performance.now() - startedAt };
  } catch (error) {
    return { kind: 'refused', error };
  }
}

/** Runs all images in one batch; one by one when that fails, because a single image may be the cause. */
async function answerAll(jobs: readonly Prepared[]): Promise<JobOutcome[]> {
  const images = jobs.filter((job) => job.kind === 'pixels');
  const together = images.length > 1 ? await predict(joined(images)).catch(() => null) : null;
  const outcomes: JobOutcome[] = [];
  for (const job of jobs) {
    const isIn = together !== null && job.kind === 'pixels';
    // The time of the batch: each of its images took that long.
    outcomes.push(
      isIn ? { ...together, decodeMs: job.decodeMs, rows: together.rows.splice(0, job.count) } : await answer(job),
    );
  }
  return outcomes;
}

function joined(images: readonly Pixels[]): Pixels {
  const count = images.reduce((sum, image) => sum + image.count, 0);
  return {
    kind: 'pixels',
    bytes: Buffer.concat(images.map(({ bytes }) => bytes)),
    count,
    batchSize: count,
    decodeMs: 0,
  };
}

async function answer(job: Prepared): Promise<JobOutcome> {
  try {
    if (job.kind === 'refused') throw job.error;
    return await (job.kind === 'pixels' ? predict(job) : explain(job));
  } catch (error) {
    return { type: 'refused', code: errorCodeOf(error), message: messageOf(error) };
  }
}

type Answer = Extract<JobOutcome, { type: 'answer' }>;

async function predict({ bytes, count, batchSize, decodeMs }: Pixels): Promise<Answer> {
  const startedAt = performance.now();
  const rows = await session.infer(bytes, count, batchSize);
  return { type: 'answer', rows, decodeMs, inferMs: performance.now() - startedAt };
}

async function explain(job: ExplainJob | OverlayJob): Promise<Answer> {
  if (job.kind === 'overlay') {
    return { type: 'answer', rows: [], explained: await overlayInThread(job), decodeMs: 0, inferMs: 0 };
  }
  const { probabilities, features, explained, decodeMs, inferMs } = await explainInThread(job, tools);
  const near = features === null || references === null ? null : (nearest(features, references)[0] ?? null);
  return { type: 'answer', rows: [{ probabilities, nearest: near }], explained, decodeMs, inferMs };
}

async function end(): Promise<void> {
  await session.end();
  parentPort?.close();
}

function reply(message: Reply): void {
  parentPort?.postMessage(message);
}

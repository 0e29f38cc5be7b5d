import { parentPort, workerData } from 'node:worker_threads';
import { errorCodeOf, messageOf } from '../../contracts/errors.js';
import { requireValid } from '../../platform/validation/validate.js';
import { decodePixels, pixelBytes, setThreadsPerImage } from '../images/decode.js';
import { explainInThread, overlayInThread, type ExplainTools } from './explain-job.js';
import type { ExplainJob, OverlayJob } from './explain/messages.js';
import { requestSchema, threadSetupSchema, type Job, type JobOutcome, type Reply } from './messages.js';
import { nearest } from './nearest.js';
import { openSession } from './thread-session.js';

/** A thread of the serving engine: it has its own ONNX Runtime sessions, decodes images, and runs its jobs in order. */
const setup = threadSetupSchema.parse(workerData);
const { limits, references } = setup;
const decode = (bytes: Uint8Array): Promise<Uint8Array> => decodePixels(bytes, limits);

// There are as many threads as cores: a thread that used several to decode would only slow the others.
setThreadsPerImage(1);
const session = await openSession(setup.model, references, setup.loneCores);
const tools: ExplainTools = {
  ...session,
  decode,
  nearest: (features, count) =>
    references === null ? [] : nearest(features, references, { among: references.rows, count }),
};
for (const isAlone of [true, false]) await session.infer(new Uint8Array(pixelBytes), 1, isAlone);
let lastAnswer = Promise.resolve();

parentPort?.on('message', (message: unknown) => {
  const request = requireValid(requestSchema, message, 'the request');
  lastAnswer = lastAnswer.then(async () => {
    if (request === null) await end();
    else reply({ type: 'done', outcome: await answer(request.job, request.isAlone) });
  });
});
reply({ type: 'ready' });

async function answer(job: Job, isAlone: boolean): Promise<JobOutcome> {
  try {
    if (job.kind === 'image') return await predict(job.bytes, isAlone);
    if (job.kind === 'pixels') return await infer(job.bytes, job.count, isAlone);
    return await explain(job);
  } catch (error) {
    return { type: 'refused', code: errorCodeOf(error), message: messageOf(error) };
  }
}

type Answer = Extract<JobOutcome, { type: 'answer' }>;

async function predict(bytes: Uint8Array, isAlone: boolean): Promise<Answer> {
  const startedAt = performance.now();
  // Jobs run one after the other, so the pixels stay until the network has read them.
  const pixels = await decodePixels(bytes, limits, { areLent: true });
  const decodeMs = performance.now() - startedAt;
  return { ...(await infer(pixels, 1, isAlone)), decodeMs };
}

async function infer(pixels: Uint8Array, count: number, isAlone: boolean): Promise<Answer> {
  const startedAt = performance.now();
  const rows = await session.infer(pixels, count, isAlone);
  return { type: 'answer', rows, decodeMs: 0, inferMs: performance.now() - startedAt };
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

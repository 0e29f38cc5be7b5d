import { parentPort } from 'node:worker_threads';
import { errorCodeOf, messageOf } from '../../contracts/errors.js';
import { requireValid } from '../../platform/validation/validate.js';
import { decodePixels, pixelBytes, setThreadsPerImage } from '../images/decode.js';
import { explainInThread, overlayInThread, type ExplainTools } from './explain-job.js';
import type { ExplainJob, OverlayJob } from './explain/messages.js';
import {
  isLoadOrder,
  loadOrderSchema,
  requestSchema,
  type Job,
  type JobOutcome,
  type Reply,
  type ThreadSetup,
} from './messages.js';
import { nearest } from './nearest.js';
import { openSession, type ThreadSession } from './thread-session.js';

/**
 * A thread of the serving engine: it has its own ONNX Runtime sessions, decodes images, and runs its jobs in order. It
 * starts without a model, loads one when it is told to, and may load another one later.
 */
interface Loaded {
  session: ThreadSession;
  limits: ThreadSetup['limits'];
  references: ThreadSetup['references'];
  tools: ExplainTools;
}
let loaded: Loaded | null = null;
let lastAnswer = Promise.resolve();

// There are as many threads as cores: a thread that used several to decode would only slow the others.
setThreadsPerImage(1);
parentPort?.on('message', (message: unknown) => {
  const request = requireValid(isLoadOrder(message) ? loadOrderSchema : requestSchema, message, 'the request');
  lastAnswer = lastAnswer.then(async () => {
    if (request === null) await end();
    else if ('load' in request) await load(request.load);
    else reply({ type: 'done', outcome: await answer(request.job, request.isAlone) });
  });
});

async function load({ model, limits, references, loneCores }: ThreadSetup): Promise<void> {
  await loaded?.session.end();
  const session = await openSession(model, references, loneCores);
  const tools: ExplainTools = {
    ...session,
    decode: (bytes) => decodePixels(bytes, limits),
    nearest: (features, count) =>
      references === null ? [] : nearest(features, references, { among: references.rows, count }),
  };
  for (const isAlone of [true, false]) await session.infer(new Uint8Array(pixelBytes), 1, isAlone);
  loaded = { session, limits, references, tools };
  reply({ type: 'ready' });
}

function model(): Loaded {
  if (loaded === null) throw new Error('The thread has no model yet.');
  return loaded;
}

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
  const pixels = await decodePixels(bytes, model().limits, { areLent: true });
  const decodeMs = performance.now() - startedAt;
  return { ...(await infer(pixels, 1, isAlone)), decodeMs };
}

async function infer(pixels: Uint8Array, count: number, isAlone: boolean): Promise<Answer> {
  const startedAt = performance.now();
  const rows = await model().session.infer(pixels, count, isAlone);
  return { type: 'answer', rows, decodeMs: 0, inferMs: performance.now() - startedAt };
}

async function explain(job: ExplainJob | OverlayJob): Promise<Answer> {
  if (job.kind === 'overlay') {
    return { type: 'answer', rows: [], explained: await overlayInThread(job), decodeMs: 0, inferMs: 0 };
  }
  const { references, tools } = model();
  const { probabilities, features, explained, decodeMs, inferMs } = await explainInThread(job, tools);
  const near = features === null || references === null ? null : (nearest(features, references)[0] ?? null);
  return { type: 'answer', rows: [{ probabilities, nearest: near }], explained, decodeMs, inferMs };
}

async function end(): Promise<void> {
  await loaded?.session.end();
  parentPort?.close();
}

function reply(message: Reply): void {
  parentPort?.postMessage(message);
}

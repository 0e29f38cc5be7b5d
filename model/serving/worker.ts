import { parentPort, workerData } from 'node:worker_threads';
import { errorCodeOf, messageOf } from '../../contracts/errors.js';
import { decodePixels, pixelBytes, setThreadsPerImage } from '../images/decode.js';
import { explainInThread, overlayInThread, type ExplainTools } from './explain-job.js';
import type { ExplainJob, OverlayJob } from './explain/messages.js';
import { requestSchema, threadSetupSchema, type Job, type JobOutcome, type Pace, type Reply } from './messages.js';
import { nearest } from './nearest.js';
import { measurePace, openSession } from './thread-session.js';

/** A thread of the serving engine: its own ONNX Runtime session, its jobs one after the other, decoded right here. */
const setup = threadSetupSchema.parse(workerData);
const { limits, references } = setup;

// As many threads as cores run side by side; each of them splitting its own work would only make them wait.
setThreadsPerImage(1);
const session = await openSession(setup.model, references);
const tools: ExplainTools = {
  ...session,
  decode: (bytes) => decodePixels(bytes, limits),
  nearest: (features, count) =>
    references === null ? [] : nearest(features, references, { among: references.rows, count }),
};
const pace = await warmUp();

parentPort?.on('message', (message: unknown) => {
  const request = requestSchema.safeParse(message);
  // A plain Error: the message of zod's own is lost on its way out of the thread.
  if (!request.success) throw new Error(`The request is malformed: ${request.error.message}`);
  if (request.data === null) void end();
  else void answerAll(request.data).then((outcomes) => reply({ type: 'done', outcomes }));
});
reply({ type: 'ready', pace });

async function warmUp(): Promise<Pace> {
  if (setup.batchSize === null) return measurePace(session);
  await session.infer(new Uint8Array(pixelBytes), 1, 1);
  return { batchSize: setup.batchSize, imageMs: null };
}

async function answerAll(jobs: readonly Job[]): Promise<JobOutcome[]> {
  const [only, ...others] = jobs;
  if (only !== undefined && others.length === 0) return [await answer(only)];
  return answerTogether(jobs);
}

async function answer(job: Job): Promise<JobOutcome> {
  try {
    return await (job.kind === 'image' || job.kind === 'pixels' ? predict(job) : explain(job));
  } catch (error) {
    return refused(error);
  }
}

type PixelJob = Extract<Job, { kind: 'image' | 'pixels' }>;
type Answer = Extract<JobOutcome, { type: 'answer' }>;

async function predict(job: PixelJob): Promise<Answer> {
  const startedAt = performance.now();
  const pixels = job.kind === 'image' ? await decodePixels(job.bytes, limits) : job.bytes;
  const decodedAt = performance.now();
  const rows = await session.infer(pixels, job.kind === 'image' ? 1 : job.count, pace.batchSize);
  return { type: 'answer', rows, decodeMs: decodedAt - startedAt, inferMs: performance.now() - decodedAt };
}

async function explain(job: ExplainJob | OverlayJob): Promise<Answer> {
  if (job.kind === 'overlay') {
    return { type: 'answer', rows: [], explained: await overlayInThread(job), decodeMs: 0, inferMs: 0 };
  }
  const { probabilities, features, explained, decodeMs, inferMs } = await explainInThread(job, tools);
  const near = features === null || references === null ? null : (nearest(features, references)[0] ?? null);
  return { type: 'answer', rows: [{ probabilities, nearest: near }], explained, decodeMs, inferMs };
}

/** Images at once, decoded side by side and given to the graph in one batch. */
async function answerTogether(jobs: readonly Job[]): Promise<JobOutcome[]> {
  const startedAt = performance.now();
  const decoded = await Promise.all(jobs.map(decodeJob));
  const decodedAt = performance.now();
  const pixels = decoded.filter((one) => one instanceof Uint8Array);
  try {
    const rows = await session.infer(Buffer.concat(pixels), pixels.length, pixels.length);
    // Times of the batch: that is how long each of its images took.
    const times = { decodeMs: decodedAt - startedAt, inferMs: performance.now() - decodedAt };
    return decoded.map((one) =>
      one instanceof Uint8Array ? { type: 'answer', rows: rows.splice(0, 1), ...times } : one,
    );
  } catch {
    // One of them may have spoilt it for the others.
    const outcomes: JobOutcome[] = [];
    for (const job of jobs) outcomes.push(await answer(job));
    return outcomes;
  }
}

async function decodeJob(job: Job): Promise<Uint8Array | JobOutcome> {
  if (job.kind === 'image') return decodePixels(job.bytes, limits).catch(refused);
  return refused(new Error(`Jobs of kind ${job.kind} are given to a thread one by one.`));
}

function refused(error: unknown): JobOutcome {
  return { type: 'refused', code: errorCodeOf(error), message: messageOf(error) };
}

async function end(): Promise<void> {
  await session.end();
  parentPort?.close();
}

function reply(message: Reply): void {
  parentPort?.postMessage(message);
}

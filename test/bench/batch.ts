import { createHash, randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import sharp from 'sharp';
import { batchPredictionViewSchema } from '../../contracts/batch-predictions/http-batch-predictions.js';
import { pipelineSchema } from '../../contracts/pipelines/http-pipelines.js';
import { batchWorkflowId } from '../../contracts/names.js';
import { poll } from '../support/api-client.js';
import type { BatchView } from '../support/batch-fixture.js';
import { startApi } from '../support/served-api.js';
import { startStack, type TestStack } from '../support/stack.js';
import { inspectResults } from './batch-results.js';
import { watchMemory, type MemoryWatch } from './processes.js';
import { printTable, seconds, timed, type Figure } from './table.js';

/** Enough to see the rate; what grows with a job shows at a hundred thousand: `npm run bench -- batch 100000`. */
const defaultImages = 5_000;
/** Number of different images; further keys repeat them. */
const differentImages = 300;
const writesAtOnce = 50;
/** Much longer than a job of a hundred thousand tiny images, which takes minutes. */
const longestMs = 2 * 3_600_000;

/**
 * A batch prediction over many tiny images with a model of a few kilobytes: measures the cost of the job itself. The
 * worker is killed in the middle of the job; a second job is cancelled in the middle.
 */
export async function benchBatch(asked: readonly string[]): Promise<void> {
  const images = Number(asked.find((word) => /^\d+$/.test(word)) ?? defaultImages);
  const stack = await startStack();
  const memory = watchMemory(process.pid);
  try {
    await stack.kill('training');
    const figures = [await prepare(stack, images)];
    figures.push(...(await predictAll(stack, memory, images)));
    figures.push(await cancelInTheMiddle(stack, images));
    printTable(`A batch prediction over ${images} tiny images`, figures);
  } finally {
    memory.stop();
    await stack.stop();
  }
}

/** Stores the images below one prefix, and puts a model into Production. */
async function prepare(stack: TestStack, images: number): Promise<Figure> {
  const served = await startApi(stack.environment);
  try {
    await served.promote(await served.registerTiny());
    const contents = await Promise.all(Array.from({ length: differentImages }, (_, seed) => tinyImage(seed)));
    const [, ms] = await timed(async () => {
      for (let from = 0; from < images; from += writesAtOnce) {
        const numbers = Array.from({ length: Math.min(writesAtOnce, images - from) }, (_, index) => from + index);
        await Promise.all(
          numbers.map((number) =>
            served.api.objects.put(keyOf(number), contents[number % differentImages] ?? Buffer.alloc(0)),
          ),
        );
      }
    });
    return { what: 'the images put into the object store', value: seconds(ms) };
  } finally {
    await served.stop();
  }
}

function keyOf(number: number): string {
  return `bench/${String(number).padStart(7, '0')}.png`;
}

/** Sixteen pixels wide, of colours that no other seed has. */
function tinyImage(seed: number): Promise<Buffer> {
  const side = 16;
  const pixels = Buffer.alloc(side * side * 3);
  for (let at = 0; at < pixels.length; at += 32) createHash('sha256').update(`${seed} ${at}`).digest().copy(pixels, at);
  return sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .png()
    .toBuffer();
}

async function predictAll(stack: TestStack, memory: MemoryWatch, images: number): Promise<Figure[]> {
  const before = await memory.now();
  const { id } = await start(stack);
  const longest = { askMs: 0 };
  const ask = async (): Promise<BatchView> => {
    const [job, ms] = await timed(() => jobOf(stack, id));
    longest.askMs = Math.max(longest.askMs, ms);
    return job;
  };
  await poll(ask, ({ done }) => done > images / 2, longestMs);
  await stack.kill('pipeline');
  const { done: atDeath } = await jobOf(stack, id);
  const [, deadMs] = await timed(() => stack.start('pipeline'));
  const job = await poll(ask, hasEnded, longestMs);
  const peaks = memory.peaks();
  const memoryOf = (name: string): string =>
    `${(before.get(name) ?? 0).toFixed(0)} MB before, ${(peaks.get(name) ?? 0).toFixed(0)} MB at most`;
  return [
    { what: 'status, images, without a prediction', value: `${job.status}, ${job.done}, ${job.failed}` },
    { what: 'the list', value: await stepTime(stack, job, 'list_items') },
    {
      what: `predicting, the worker killed at ${atDeath} images and back in ${seconds(deadMs)}`,
      value: `${await stepTime(stack, job, 'predict')}, ${String(job.images_per_second)} images/s`,
    },
    { what: 'writing the results', value: await stepTime(stack, job, 'merge_results') },
    { what: 'pipeline worker', value: memoryOf('pipeline worker') },
    { what: 'process that predicts', value: memoryOf('batch process') },
    { what: 'GET of the job while it runs', value: `${longest.askMs.toFixed(0)} ms at most` },
    { what: 'histories of the workflow', value: await histories(stack, id) },
    ...(await inspectResults(stack, job, memory)),
    { what: 'API, downloads included', value: `${(memory.peaks().get('api') ?? 0).toFixed(0)} MB at most` },
  ];
}

async function cancelInTheMiddle(stack: TestStack, images: number): Promise<Figure> {
  const { id } = await start(stack);
  const ask = (): Promise<BatchView> => jobOf(stack, id);
  await poll(ask, ({ done }) => done > images / 10, longestMs);
  await fetch(`${stack.apiUrl}/api/v1/batch-predictions/${id}/cancel`, { method: 'POST' });
  const [job, ms] = await timed(() => poll(ask, hasEnded, longestMs));
  const csv = await (await fetch(`${stack.apiUrl}${job.status_url}/results.csv`)).text();
  const rows = csv.split('\r\n').length - 2;
  return {
    what: 'cancelled after a tenth',
    value: `${job.status} in ${seconds(ms)} with ${job.done} images done`,
    target: `${job.done} rows, has ${rows}`,
  };
}

async function start(stack: TestStack): Promise<BatchView> {
  const response = await fetch(`${stack.apiUrl}/api/v1/batch-predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': randomUUID() },
    body: JSON.stringify({ source: { kind: 'prefix', prefix: 'bench/' } }),
  });
  return batchPredictionViewSchema.parse(await response.json());
}

async function jobOf(stack: TestStack, id: string): Promise<BatchView> {
  return batchPredictionViewSchema.parse(await (await fetch(`${stack.apiUrl}/api/v1/batch-predictions/${id}`)).json());
}

function hasEnded({ status }: BatchView): boolean {
  return status !== 'waiting' && status !== 'running';
}

async function stepTime(stack: TestStack, job: BatchView, name: string): Promise<string> {
  const answer = await fetch(stack.apiUrl + (job.pipeline_url ?? ''));
  const { steps } = pipelineSchema.parse(await answer.json());
  const step = steps.find((each) => each.name === name);
  return seconds(Date.parse(step?.ended_at ?? '') - Date.parse(step?.started_at ?? ''));
}

/** Each run that continued another has a separate history. */
async function histories({ environment }: TestStack, id: string): Promise<string> {
  const connection = await Connection.connect({ address: environment['TEMPORAL_ADDRESS'] ?? '' });
  try {
    const sizes: string[] = [];
    const client = new Client({ connection });
    for await (const run of client.workflow.list({ query: `WorkflowId = '${batchWorkflowId(id)}'` })) {
      sizes.push(`${run.historyLength} events in ${((run.historySize ?? 0) / 1024).toFixed(0)} kB`);
    }
    return sizes.reverse().join('; ');
  } finally {
    await connection.close();
  }
}

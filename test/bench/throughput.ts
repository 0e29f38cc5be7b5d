import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { concurrently } from '../../platform/concurrently.js';
import { runModelJob } from '../../activities/runtime/model-process.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { loadBackbone } from '../../model/architectures/backbone.js';
import { createTensors, disposeTensors } from '../../model/architectures/network-tensors.js';
import { computeEmbeddings } from '../../model/features/embed.js';
import { decodePixels } from '../../model/images/decode.js';
import { inspectImage, minimumSide, type ImageLimits } from '../../model/images/inspect.js';
import { drawSyntheticImage, syntheticLabels } from '../../model/images/synthetic.js';
import { createLogger } from '../../platform/logging.js';
import { startStack, type TestStack } from '../support/stack.js';
import { createApiClient } from '../support/api-client.js';
import { imagesBelow } from './images-below.js';
import { watchMemory } from './processes.js';
import { perSecond, printTable, timed, type Figure } from './table.js';

const limits: ImageLimits = { maxPixels: 100_000_000, maxBytes: 20_000_000, minSide: minimumSide };
const batchSize = 16;
const manyImages = 3_000;

/** Ingestion and embedding beside the limit of the machine, in the same run. */
export async function benchThroughput(datasetDir: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-bench-'));
  const many = await drawMany(join(folder, 'many'));
  const stack = await startStack();
  try {
    printTable('Throughput', [
      ...(await benchIngestion(stack, 'real', datasetDir)),
      ...(await benchIngestion(stack, 'many', many)),
      ...(await benchEmbedding(imagesBelow(datasetDir), folder)),
    ]);
  } finally {
    await stack.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function drawMany(folder: string): Promise<string> {
  for (const label of syntheticLabels) {
    await mkdir(join(folder, label), { recursive: true });
    const indices = Array.from({ length: manyImages / syntheticLabels.length }, (_, index) => index);
    await concurrently(indices, cpus().length, async (index) =>
      writeFile(join(folder, label, `${index}.jpg`), await drawSyntheticImage(label, index)),
    );
  }
  return folder;
}

async function benchIngestion(stack: TestStack, dataset: string, folder: string): Promise<Figure[]> {
  const paths = imagesBelow(folder);
  const [, limitMs] = await timed(() =>
    concurrently(paths, cpus().length, async (path) => inspectImage(await readFile(path), limits)),
  );
  const api = createApiClient(stack.apiUrl);
  const memory = watchMemory(stack.pidOf('pipeline'));
  const [, ms] = await timed(async () => {
    const { body } = await api.post('/api/v1/pipelines/ingestion', {
      dataset,
      source: { kind: 'folder', path: folder },
    });
    const { status, error } = await api.ended(acceptedSchema.parse(body).run_id, 600_000);
    if (status !== 'completed') throw new Error(JSON.stringify(error));
  });
  memory.stop();
  const peak = memory.peaks().get('pipeline worker') ?? NaN;
  return [
    { what: `ingestion of ${paths.length} images, workflow and all`, value: perSecond(paths.length, ms) },
    { what: 'its limit: read, decode and hash alone', value: perSecond(paths.length, limitMs) },
    { what: 'peak memory of the pipeline worker meanwhile', value: `${peak.toFixed(0)} MB`, target: 'under 500 MB' },
  ];
}

async function benchEmbedding(paths: string[], folder: string): Promise<Figure[]> {
  const job = {
    kind: 'embed' as const,
    images: paths.map((path, index) => ({ sha256: String(index).padStart(64, '0'), path })),
    outputPath: join(folder, 'features.parquet'),
    batchSize,
  };
  const [, ms] = await timed(() =>
    runModelJob(job, { signal: new AbortController().signal, logger: createLogger('bench', 'warn') }),
  );
  const limitMs = await timeBackbone(paths.slice(0, batchSize), Math.ceil(paths.length / batchSize));
  return [
    {
      what: `embedding of ${paths.length} images, process start, decoding and Parquet included`,
      value: perSecond(paths.length, ms),
    },
    {
      what: 'its limit: the backbone alone on decoded pixels',
      value: perSecond(Math.ceil(paths.length / batchSize) * batchSize, limitMs),
    },
  ];
}

async function timeBackbone(paths: string[], batches: number): Promise<number> {
  const pixels = Buffer.concat(
    await Promise.all(paths.map(async (path) => decodePixels(await readFile(path), limits))),
  );
  const backbone = await loadBackbone();
  const tensors = createTensors(backbone.weights);
  computeEmbeddings(backbone, tensors, pixels, paths.length);
  const [, ms] = await timed(() => {
    for (let batch = 0; batch < batches; batch++) computeEmbeddings(backbone, tensors, pixels, paths.length);
    return Promise.resolve();
  });
  disposeTensors(tensors);
  return ms;
}

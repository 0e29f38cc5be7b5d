import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { concurrently } from '../../platform/concurrently.js';
import { withTrainer } from '../../activities/runtime/model-process.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { loadBackbone } from '../../model/architectures/backbone.js';
import { encodeFeatureExtractor } from '../../model/export/onnx-graph.js';
import { drawSyntheticImage, syntheticLabels } from '../../model/images/synthetic.js';
import { createLogger } from '../../platform/logging.js';
import { startStack, type TestStack } from '../support/stack.js';
import { createApiClient } from '../support/api-client.js';
import { imagesBelow } from './images-below.js';
import { startLimit, type LimitThreads } from './limits.js';
import { watchMemory } from './processes.js';
import { timeStored } from './stored-limit.js';
import { perSecond, printTable, timed, type Figure } from './table.js';

const manyImages = 3_000;
/** Each part and its limit are measured in turns, and the best turn of each counts: another process disturbs single turns. */
const turns = 3;
const target = 'at least 0.8 of the limit';

/** Ingestion and embedding beside the limit of the machine, in the same run. */
export async function benchThroughput(datasetDir: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-bench-'));
  const many = await drawMany(join(folder, 'many'));
  const sets = [
    { name: 'real', paths: imagesBelow(datasetDir), folder: datasetDir },
    { name: 'many', paths: imagesBelow(many), folder: many },
  ];
  const figures: Figure[] = [];
  try {
    for (const set of sets) figures.push(...(await benchIngestion(set)));
    for (const { paths } of sets) figures.push(...(await benchEmbedding(paths, folder)));
    printTable('Throughput', figures);
  } finally {
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

interface ImageSet {
  name: string;
  paths: string[];
  folder: string;
}

/** Every turn has a stack of its own: an image that is known already is not ingested again. */
async function benchIngestion({ paths, folder }: ImageSet): Promise<Figure[]> {
  const limit = await startLimit((core, cores) => ({
    kind: 'inspect',
    paths: paths.filter((_, index) => index % cores === core),
  }));
  let peak = 0;
  const figures = await inTurns(
    `ingestion of ${paths.length} images, workflow and all`,
    paths.length,
    limit,
    async () => {
      const stack = await startStack();
      try {
        const memory = watchMemory(stack.pidOf('pipeline'));
        const [, ms] = await timed(() => ingest(stack, folder));
        memory.stop();
        peak = Math.max(peak, memory.peaks().get('pipeline worker') ?? NaN);
        return ms;
      } finally {
        await stack.stop();
      }
    },
  );
  await limit.end();
  return [
    ...figures,
    { what: 'that limit with uploads to an S3 server', value: perSecond(paths.length, await timeStored(paths, false)) },
    { what: 'that limit with uploads and records', value: perSecond(paths.length, await timeStored(paths, true)) },
    { what: 'peak memory of the pipeline worker meanwhile', value: `${peak.toFixed(0)} MB`, target: 'under 500 MB' },
  ];
}

async function ingest(stack: TestStack, folder: string): Promise<void> {
  const api = createApiClient(stack.apiUrl);
  const { body } = await api.post('/api/v1/pipelines/ingestion', {
    dataset: 'measured',
    source: { kind: 'folder', path: folder },
  });
  const { workflow_id } = acceptedSchema.parse(body);
  // Asking every moment whether it has ended would take time from it.
  const connection = await Connection.connect({ address: stack.environment['TEMPORAL_ADDRESS'] ?? '' });
  try {
    await new Client({ connection }).workflow.getHandle(workflow_id).result();
  } finally {
    await connection.close();
  }
}

async function benchEmbedding(paths: string[], folder: string): Promise<Figure[]> {
  const { operations, weights } = await loadBackbone();
  const graph = encodeFeatureExtractor(operations, weights);
  const limit = await startLimit((_, cores) => ({ kind: 'infer', graph, runs: Math.ceil(paths.length / cores) }));
  const images = paths.map((path, index) => ({ sha256: String(index).padStart(64, '0'), path }));
  const memory = watchMemory(process.pid);
  const logger = createLogger('bench', 'warn');
  const figures = await inTurns(
    `embedding of ${paths.length} images, process start, decoding and Parquet included`,
    paths.length,
    limit,
    async () => {
      const [, ms] = await timed(() =>
        withTrainer(logger, (trainer) =>
          trainer.run(
            { kind: 'embed', images, outputPath: join(folder, 'features.parquet') },
            { signal: new AbortController().signal },
          ),
        ),
      );
      return ms;
    },
  );
  memory.stop();
  await limit.end();
  const peak = memory.peaks().get('trainer') ?? NaN;
  return [...figures, { what: 'peak memory of the trainer meanwhile', value: `${peak.toFixed(0)} MB` }];
}

async function inTurns(
  what: string,
  images: number,
  limit: LimitThreads,
  measure: () => Promise<number>,
): Promise<Figure[]> {
  const limits: number[] = [];
  const measured: number[] = [];
  const loads: string[] = [];
  for (let turn = 0; turn < turns; turn += 1) {
    limits.push(await limit.run());
    measured.push(await measure());
    loads.push((loadavg()[0] ?? NaN).toFixed(1));
  }
  const [limitMs, ms] = [Math.min(...limits), Math.min(...measured)];
  const ratios = measured.map((each, turn) => ((limits[turn] ?? NaN) / each).toFixed(2)).join(', ');
  return [
    { what, value: perSecond(images, ms) },
    { what: 'its limit on all cores, in turns', value: perSecond(images, limitMs) },
    {
      what: 'ratio of the best turns',
      value: `${(limitMs / ms).toFixed(2)} (each turn: ${ratios}; load ${loads.join(', ')})`,
      target,
    },
  ];
}

import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { startProduct, type RunningProduct } from '../support/running-product.js';
import type { Pipeline } from '../support/api-client.js';
import { imagesBelow } from './images-below.js';
import { watchMemory, type MemoryWatch } from './processes.js';
import { printTable, seconds, timed, type Figure } from './table.js';

const retraining = z.object({
  outcome: z.string(),
  test: z.object({
    images: z.number(),
    accuracy: z.number(),
    intervals: z.object({ accuracy: z.tuple([z.number(), z.number()]) }),
  }),
});
const predictions = 2_000;
const warmUpPredictions = 2_000;
const warmUpTrainings = 5;
const measuredTrainings = 5;
const predictionsAtOnce = 4;

/** From an empty data folder to a served model, then retrainings, seeds, predictions and the memory of all of it. */
export async function benchMainPath(datasetDir: string, withCnn: boolean): Promise<void> {
  const product = await startProduct({ DATASET_DIR: datasetDir });
  const memory = watchMemory(product.pid);
  try {
    await product.isSetUp();
    const [, coldMs] = await timed(() => product.served());
    const figures: Figure[] = [
      { what: 'empty data folder to a served model, after set-up', value: seconds(coldMs), target: 'under 15 s' },
    ];
    await product.settled();
    process.stdout.write(`${product.output()}\n`);
    figures.push(...(await benchRetraining(product)));
    if (withCnn) figures.push(await benchCnn(product));
    figures.push(...(await benchGrowth(product, memory, datasetDir)));
    for (const [name, mb] of memory.peaks())
      figures.push({ what: `peak memory, ${name}`, value: `${mb.toFixed(0)} MB` });
    printTable('The main path', figures);
  } finally {
    memory.stop();
    await product.stop();
  }
}

async function retrain(product: RunningProduct, hyperparameters: object = {}): Promise<Pipeline> {
  const { run_id } = await product.api.startRetraining({ hyperparameters });
  const ended = await product.api.ended(run_id, 1_800_000);
  if (ended.status !== 'completed')
    throw new Error(`a retraining ended as ${ended.status}: ${JSON.stringify(ended.error)}`);
  return ended;
}

async function benchRetraining(product: RunningProduct): Promise<Figure[]> {
  const [ended, ms] = await timed(() => retrain(product, { seed: 7 }));
  return [
    { what: 'retraining with cached features, trigger to end', value: seconds(ms), target: 'under 6 s' },
    { what: 'its test accuracy, transfer', value: accuracyOf(retraining.parse(ended.result).test) },
  ];
}

async function benchCnn(product: RunningProduct): Promise<Figure> {
  const [ended, ms] = await timed(() => retrain(product, { architecture: 'cnn' }));
  return { what: 'test accuracy, cnn', value: `${accuracyOf(retraining.parse(ended.result).test)}, ${seconds(ms)}` };
}

function accuracyOf({ images, accuracy, intervals }: z.infer<typeof retraining>['test']): string {
  const [low, high] = intervals.accuracy.map((bound) => bound.toFixed(3));
  return `${accuracy.toFixed(3)} (${low} to ${high}) on ${images} images`;
}

async function benchGrowth(product: RunningProduct, memory: MemoryWatch, datasetDir: string): Promise<Figure[]> {
  const images = imagesBelow(datasetDir);
  for (let training = 0; training < warmUpTrainings; training++) await retrain(product, { seed: 50 + training });
  await predictMany(product, images, warmUpPredictions);
  const before = await memory.now();
  const [, ms] = await timed(() => predictMany(product, images, predictions));
  const afterPredictions = await memory.now();
  for (let training = 0; training < measuredTrainings; training++) await retrain(product, { seed: 100 + training });
  const afterTrainings = await memory.now();
  return [
    {
      what: `${predictions} predictions over HTTP, ${predictionsAtOnce} at once`,
      value: `${((1000 * predictions) / ms).toFixed(0)} requests/s`,
    },
    {
      what: `api, growth over ${predictions} predictions`,
      value: growth('api', before, afterPredictions),
      target: 'below 5 %',
    },
    ...['api', 'pipeline worker', 'training worker'].map((name) => ({
      what: `${name}, growth over ${measuredTrainings} trainings`,
      value: growth(name, afterPredictions, afterTrainings),
      target: 'below 5 %',
    })),
  ];
}

function growth(name: string, before: Map<string, number>, after: Map<string, number>): string {
  const [from = NaN, to = NaN] = [before.get(name), after.get(name)];
  return `${from.toFixed(0)} → ${to.toFixed(0)} MB (${((100 * (to - from)) / from).toFixed(1)} %)`;
}

async function predictMany(product: RunningProduct, images: string[], count: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const image = images[next++ % images.length] ?? '';
      let { status, body } = await product.api.predict(image);
      // A machine with other work may have too much of it for a moment.
      for (; status === 429; { status, body } = await product.api.predict(image)) await sleep(1_000);
      if (status !== 200) throw new Error(`a prediction answered ${status}: ${JSON.stringify(body)}`);
    }
  };
  await Promise.all(Array.from({ length: predictionsAtOnce }, lane));
}

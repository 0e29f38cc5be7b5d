import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { searchViewSchema } from '../../contracts/experiments/http-tuning.js';
import { createApiClient, type ApiClient, type Pipeline } from '../support/api-client.js';
import { startStack } from '../support/stack.js';
import { imagesBelow } from './images-below.js';
import { watchMemory } from './processes.js';
import { printTable, seconds, timed, type Figure } from './table.js';

const trials = 50;

/** A search on features that exist already: what the trials and Temporal cost, and what the winner is worth. */
export async function benchTuning(datasetDir: string): Promise<void> {
  const stack = await startStack();
  const api = createApiClient(stack.apiUrl);
  try {
    const source = { kind: 'folder', path: datasetDir };
    await ended(api, '/api/v1/pipelines/ingestion', { source });
    // The first search of one trial computes the features.
    const single = await ended(api, '/api/v1/pipelines/tuning', { budget: { trials: 1 } });
    const memory = watchMemory(stack.pidOf('training'));
    const [run, ms] = await timed(() => ended(api, '/api/v1/pipelines/tuning', { budget: { trials } }));
    memory.stop();
    const images = imagesBelow(datasetDir).length;
    printTable('Search for hyper-parameters', [
      { what: `${trials} trials on cached features of ${images} images, trigger to registered`, value: seconds(ms) },
      { what: 'of it the trials themselves', value: seconds(stepMs(run, 'search')) },
      { what: 'of it the full training of the best', value: seconds(stepMs(run, 'train_best')) },
      ...(await figuresOf(api, run)),
      { what: 'test accuracy of the first trial alone', value: accuracyOf(single) },
      { what: 'peak memory of trainers meanwhile', value: `${(memory.peaks().get('trainer') ?? NaN).toFixed(0)} MB` },
    ]);
  } finally {
    await stack.stop();
  }
}

async function ended(api: ApiClient, path: string, body: object): Promise<Pipeline> {
  const run = await api.ended(acceptedSchema.parse((await api.post(path, body)).body).run_id, 600_000);
  if (run.status !== 'completed') throw new Error(`${path} ended as ${run.status}: ${JSON.stringify(run.error)}`);
  return run;
}

function stepMs({ steps }: Pipeline, wanted: string): number {
  const step = steps.find(({ name }) => name === wanted);
  return Date.parse(step?.ended_at ?? '') - Date.parse(step?.started_at ?? '');
}

function accuracyOf({ steps }: Pipeline): string {
  return steps.find(({ name }) => name === 'train_best')?.detail ?? '';
}

async function figuresOf(api: ApiClient, run: Pipeline): Promise<Figure[]> {
  const { used, best } = searchViewSchema.parse((await api.get(`/api/v1/searches/${run.id}`)).body);
  return [
    { what: 'epochs trained for it', value: String(used.epochs) },
    { what: 'its best trial', value: JSON.stringify(best?.rungs.at(-1)) },
    { what: 'test accuracy of the version registered', value: accuracyOf(run) },
  ];
}

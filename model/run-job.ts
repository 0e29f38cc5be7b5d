import type { Embedder } from './features/embed.js';
import { readFeatures } from './features/feature-file.js';
import type { JobEvents, ModelJob, ModelJobResults, TrainJob } from './jobs.js';
import { cacheLast } from './tuning/cache-last.js';

/** Loads what trains and packages a model, above all TensorFlow, which takes a second. */
export async function prepareTraining(): Promise<void> {
  await import('./training/train-job.js');
  await import('./export/package-job.js');
}

export type JobRunner = (job: ModelJob, events: JobEvents) => Promise<ModelJobResults[ModelJob['kind']]>;

/**
 * Runs jobs in this process, one at a time. Only the code of a job's kind is loaded: an ONNX file is imported without
 * TensorFlow.
 */
export function createJobRunner(): JobRunner {
  const readOnce = cacheLast(readFeatures);
  let embedder: Embedder | null = null;
  return async (job, events) => {
    switch (job.kind) {
      case 'embed':
        embedder ??= (await import('./features/embed.js')).createEmbedder();
        return embedder.embed(job, events);
      case 'train':
        return trainModel(job, events);
      case 'trial':
        return (await import('./tuning/trial-job.js')).runTrial(job, readOnce);
      case 'package':
        return (await import('./export/package-job.js')).packageModel(job, events);
      case 'import':
        return (await import('./import/import-job.js')).importModel(job);
    }
  };
}

/** Trains, and quantizes meanwhile what does not depend on the training. */
async function trainModel(job: TrainJob, events: JobEvents): Promise<ModelJobResults['train']> {
  const training = await import('./training/train-job.js');
  const { quantizeBackbone } = await import('./export/quantize.js');
  // The packaging meets the same failure, and reports it.
  const quantizing = job.quantizeAhead && quantizeBackbone(job.quantizeAhead).catch(() => undefined);
  try {
    return await training.trainModel(job, events);
  } finally {
    await quantizing;
  }
}

import { mkdir } from 'node:fs/promises';
import { readFeatures } from '../features/feature-file.js';
import type { JobEvents, ModelJobResults, TrainableJob, TrainJob } from '../jobs.js';
import { weightsDigest } from './checkpoint.js';
import { fingerprintOf } from './fingerprint.js';
import { fit } from './fit.js';
import { createHead } from './head.js';
import { createCnn, createFineTuned, createImageTrainable } from './image-trainable.js';
import { classWeightsOf, countLabels, orderExamples, type LabelledRows } from './labelled-rows.js';
import type { Trainable } from './trainable.js';

/** Trains the architecture the hyperparameters name, from the start or from a checkpoint. */
export async function trainModel(job: TrainJob, events: JobEvents): Promise<ModelJobResults['train']> {
  await mkdir(job.outputFolder, { recursive: true });
  const rows = orderExamples(job.examples, job.labels);
  const counts = countLabels(rows.truths, rows.splits.train, job.labels.length);
  const trainable = await createTrainable(job, rows, readFeatures);
  try {
    const { checkpoint, checkpointPath } = await fit({
      trainable,
      hyperparameters: job.hyperparameters,
      loss: { truths: rows.truths, classWeights: classWeightsOf(counts, job.hyperparameters.classWeights) },
      rows: rows.splits,
      fingerprint: fingerprintOf(job),
      checkpointPath: job.checkpointPath,
      outputFolder: job.outputFolder,
      onEpoch: (event) => events.onEpoch(event),
    });
    return {
      bestEpoch: checkpoint.bestEpoch,
      epochs: checkpoint.epoch + 1,
      weightsSha256: weightsDigest(checkpoint.bestWeights),
      checkpointPath,
    };
  } finally {
    await trainable.dispose();
  }
}

/** The model that the hyperparameters name, ready to be trained. The caller disposes of it. */
export async function createTrainable(
  job: TrainableJob,
  { sha256s }: LabelledRows,
  read: typeof readFeatures,
): Promise<Trainable> {
  const { architecture, fineTuneBlocks, seed } = job.hyperparameters;
  if (architecture === 'cnn') return createImageTrainable(job, sha256s, createCnn(job));
  if (fineTuneBlocks > 0) return createImageTrainable(job, sha256s, await createFineTuned(job));
  return createHead(await read(job.featurePaths, sha256s), job.labels.length, seed);
}

import { join } from 'node:path';
import type { Manifest } from '../../contracts/registry/bundle.js';
import type { ModelMetrics } from '../../contracts/training/training.js';
import { packageModel } from '../../model/export/package-job.js';
import { embedImages } from '../../model/features/embed.js';
import type { PackageJob, TrainJob } from '../../model/jobs.js';
import { trainModel } from '../../model/training/train-job.js';
import { collectEvents, createImageSet } from './training-fixtures.js';

export type Training = Omit<TrainJob, 'checkpointPath' | 'outputFolder'>;

export interface PackagedModel {
  folder: string;
  job: PackageJob;
  manifest: Manifest;
  metrics: ModelMetrics;
  weightsSha256: string;
}

/** Trains a model and packages it into a folder below `folder`. */
export async function trainAndPackage(training: Training, folder: string): Promise<PackagedModel> {
  const events = collectEvents();
  const { checkpointPath, weightsSha256 } = await trainModel(
    { ...training, checkpointPath: null, outputFolder: join(folder, 'training') },
    events,
  );
  const job: PackageJob = {
    ...training,
    kind: 'package',
    modelName: 'flowers',
    runId: 'run-1',
    checkpointPath,
    epochs: events.epochs.map(({ metrics }) => metrics),
    dataset: 'meadow',
    datasetVersion: 3,
    datasetDigest: 'd'.repeat(64),
    codeRevision: 'abc',
    cacheFolder: join(folder, 'cache'),
    outputFolder: join(folder, 'bundle'),
  };
  const { manifest, metrics } = await packageModel(job, collectEvents());
  return { folder: job.outputFolder, job, manifest, metrics, weightsSha256 };
}

/** Synthetic images with the embeddings that a classifier on the backbone is trained on. */
export async function createTransferSet(folder: string, perClass: number): Promise<Training> {
  const training = await createImageSet(folder, perClass, { epochs: 8, batchSize: 8 });
  const outputPath = join(folder, 'features.parquet');
  await embedImages({ kind: 'embed', images: training.images, outputPath }, collectEvents());
  return { ...training, featurePaths: [outputPath] };
}

import { embedImages } from './features/embed.js';
import { readFeatures } from './features/feature-file.js';
import type { JobEvents, ModelJob, ModelJobResults } from './jobs.js';
import { packageModel } from './export/package-job.js';
import { trainModel } from './training/train-job.js';
import { rememberLast } from './tuning/remember-last.js';
import { runTrial } from './tuning/trial-job.js';

export type JobRunner = (job: ModelJob, events: JobEvents) => Promise<ModelJobResults[ModelJob['kind']]>;

/** Does jobs in this process, which loads TensorFlow and is busy until a job is done. */
export function createJobRunner(): JobRunner {
  const readOnce = rememberLast(readFeatures);
  return (job, events) => {
    switch (job.kind) {
      case 'embed':
        return embedImages(job, events);
      case 'train':
        return trainModel(job, events);
      case 'trial':
        return runTrial(job, readOnce);
      case 'package':
        return packageModel(job, events);
    }
  };
}

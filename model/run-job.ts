import { embedImages } from './features/embed.js';
import type { JobEvents, ModelJob, ModelJobResults } from './jobs.js';
import { packageModel } from './export/package-job.js';
import { trainModel } from './training/train-job.js';

/** Does a job in this process, which loads TensorFlow and is busy until the job is done. */
export function runJob(job: ModelJob, events: JobEvents): Promise<ModelJobResults[ModelJob['kind']]> {
  switch (job.kind) {
    case 'embed':
      return embedImages(job, events);
    case 'train':
      return trainModel(job, events);
    case 'package':
      return packageModel(job, events);
  }
}

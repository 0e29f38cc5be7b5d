import { sentence, type Read, type Vocabulary } from './notification-vocabulary.js';

/** That a batch prediction has ended. */
export function batchCompleted(read: Read): Vocabulary {
  const failed = read('failed') ?? '0';
  return {
    subject: `${read('model_name') ?? 'a model'}: a batch prediction has ended`,
    sentences: [
      `Version ${read('version') ?? '?'} of ${read('model_name') ?? 'a model'} was shown ${read('items') ?? '?'} images.`,
      failed === '0' ? null : `${failed} of them have no prediction: their rows in the results say why.`,
      'The address of the job lists its results.',
    ],
    path: batchPath(read),
  };
}

/** Why a batch prediction failed, and what is kept of it. */
export function batchFailed(read: Read): Vocabulary {
  return {
    subject: `${read('model_name') ?? 'a model'}: a batch prediction failed`,
    sentences: [
      `A batch prediction with version ${read('version') ?? '?'} of ${read('model_name') ?? 'a model'} failed after ${read('done') ?? '0'} of ${read('items') ?? 'its'} images.`,
      sentence(read('error.message')),
      'What was done is kept as its results. Put right what stood in the way, and start another for the rest.',
    ],
    path: batchPath(read),
  };
}

function batchPath(read: Read): string | null {
  const id = read('batch_id');
  return id === null ? null : `/api/v1/batch-predictions/${encodeURIComponent(id)}`;
}

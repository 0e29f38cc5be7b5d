import { sentence, type ReadField, type NotificationDraft } from './notification-draft.js';

/** A batch prediction has finished. */
export function batchCompleted(read: ReadField): NotificationDraft {
  const failed = read('failed') ?? '0';
  return {
    subject: `${read('model_name') ?? 'a model'}: a batch prediction has finished`,
    sentences: [
      `Version ${read('version') ?? '?'} of ${read('model_name') ?? 'a model'} predicted ${read('items') ?? '?'} images.`,
      failed === '0' ? null : `${failed} of them failed: their rows in the results have the reason.`,
      'The batch prediction lists its result files.',
    ],
    path: batchPath(read),
  };
}

/** A batch prediction failed: why, and which results it has. */
export function batchFailed(read: ReadField): NotificationDraft {
  return {
    subject: `${read('model_name') ?? 'a model'}: a batch prediction failed`,
    sentences: [
      `A batch prediction with version ${read('version') ?? '?'} of ${read('model_name') ?? 'a model'} failed after ${read('done') ?? '0'} of ${read('items') ?? 'its'} images.`,
      sentence(read('error.message')),
      'The images predicted so far are in its results. Fix the cause, then start another batch prediction for the rest.',
    ],
    path: batchPath(read),
  };
}

function batchPath(read: ReadField): string | null {
  const id = read('batch_id');
  return id === null ? null : `/api/v1/batch-predictions/${encodeURIComponent(id)}`;
}

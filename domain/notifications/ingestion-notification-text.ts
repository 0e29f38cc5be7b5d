import { sentence, type ReadField, type NotificationDraft } from './notification-draft.js';

/** An ingestion has ended: the version, what was taken and what was not, and the training that follows. */
export function ingestionCompleted(read: ReadField): NotificationDraft {
  const dataset = read('dataset') ?? 'a dataset';
  const version = read('version') ?? '?';
  const run = read('run_id');
  const refused = read('quarantined') ?? '0';
  const conflicts = read('conflicts') ?? '0';
  return {
    subject: `${dataset}: an ingestion has finished with version ${version}`,
    sentences: [
      `${read('files') ?? '?'} files were read for ${dataset}, which is at version ${version}: ${read('new_images') ?? '?'} new images, ${read('duplicates') ?? '0'} duplicates, ${refused} quarantined.`,
      conflicts === '0' ? null : `${conflicts} images of the dataset are in two classes and are left out.`,
      refused === '0' && conflicts === '0' ? null : 'The version lists them with the reasons.',
      sentence(read('note')),
      sentence(read('training.reason')),
    ],
    path: run === null ? null : `/api/v1/pipelines/${encodeURIComponent(run)}`,
  };
}

import { z } from 'zod';
import { labelCounts } from './by-label.js';

/** The id of a source in a path or a body: a positive number. */
export const sourceIdSchema = z.coerce
  .number({ error: 'expected the id of a source, a positive whole number' })
  .int()
  .min(1)
  .max(Number.MAX_SAFE_INTEGER);

/** The source of a file. */
export const sourceReferenceSchema = z.object({
  source_id: z.number().int(),
  kind: z.string(),
  locator: z.string().describe('the folder, the upload id, or the model whose predictions were labelled'),
});

export const datasetSourceViewSchema = z
  .object({
    id: z.number().int(),
    kind: z.string(),
    locator: z.string().describe('the folder, the upload id, or the model whose predictions were labelled'),
    state: z.enum(['attached', 'detached']).describe('the dataset holds the images of attached sources'),
    is_default: z.boolean().describe('ingested as `default`'),
    missing: z
      .boolean()
      .describe(
        'it is not at its place: the folder, the file, or every object of the prefix; its images stay in the dataset until it is detached',
      ),
    missing_since: z.iso.datetime().nullable().describe('when the worker first did not find it'),
    scanned_at: z.iso.datetime(),
    detached_at: z.iso.datetime().nullable(),
    replaced_by: z.number().int().nullable().describe('the source that took its place'),
    images: z.number().int().describe('distinct images of the last scan; 0 once detached'),
    labels: labelCounts().describe('images by label, as the source says'),
    quarantined: z.number().int(),
  })
  .meta({ id: 'DatasetSource' });

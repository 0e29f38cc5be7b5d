import { z } from 'zod';
import { labelCounts } from './by-label.js';
import { labelSchema, sha256Schema, splitSchema } from './datasets.js';
import { sourceReferenceSchema } from './sources.js';

/** What people decide about an image of a dataset; `restore` leaves it to the sources again. */
export const correctionActions = ['relabel', 'remove', 'restore'] as const;

/** A decision about an image. It holds over what any source says, now and later. */
export type ImageChange = { action: 'relabel'; label: string } | { action: 'remove' } | { action: 'restore' };

export const reasonSchema = z.string().trim().min(1).max(1000);

export const editImageSchema = z
  .strictObject({
    label: labelSchema.nullable().describe('the right class; null withdraws earlier corrections of the image'),
    reason: reasonSchema.optional(),
  })
  .meta({ id: 'EditDatasetImage' });

export const imageStates = ['included', 'conflict', 'removed', 'absent'] as const;

export const datasetImageViewSchema = z
  .object({
    dataset: z.string(),
    sha256: sha256Schema,
    version: z.number().int().nullable().describe('the current version of the dataset'),
    state: z
      .enum(imageStates)
      .describe('absent: no attached source holds it, or it was not in the last scan; conflict: under two labels'),
    label: z.string().nullable().describe('label in the current version'),
    side: splitSchema.nullable().describe('the split, which never changes; null until the image is in a version'),
    image_url: z.string(),
    files: z
      .array(sourceReferenceSchema.extend({ path: z.string(), label: z.string() }))
      .describe('files of attached sources with these bytes, with the label by the source'),
    corrections: z
      .array(
        z.object({
          action: z.enum(correctionActions),
          label: z.string().nullable(),
          reason: z.string().nullable(),
          actor: z.string().nullable(),
          created_at: z.iso.datetime(),
        }),
      )
      .describe('newest first; the first one holds'),
  })
  .meta({ id: 'DatasetImage' });

/** What a change of a dataset made of it. */
export const datasetChangeSchema = z
  .object({
    dataset: z.string(),
    version: z.number().int().describe('the current version'),
    digest: z.string(),
    changed: z.boolean().describe('false: the call had been carried out before'),
    is_new_version: z.boolean().describe('false: an earlier version has exactly this content and is current again'),
    published: z.boolean().describe('false: the manifests and the DVC listing follow within minutes'),
    images: z.number().int(),
    classes: labelCounts(),
    conflicts: z.number().int(),
  })
  .meta({ id: 'DatasetChange' });

import { z } from 'zod';
import { labelCounts } from './by-label.js';
import { acceptedSchema } from '../workflows/accepted.js';
import { snakeShape } from '../http/snake-shape.js';
import { datasetStatisticsSchema, nameSchema, quarantineReasons } from './datasets.js';
import { sourceBodySchema } from './http-source.js';
import { ingestionResultSchema } from './ingestion.js';
import { sourceReferenceSchema as sourceOfFileSchema } from './sources.js';

export const startIngestionSchema = z
  .strictObject({
    dataset: nameSchema.optional(),
    source: sourceBodySchema.default({ kind: 'default' }),
    then_train: z
      .boolean()
      .default(false)
      .describe('retrain a model afterwards, unless it was trained on the resulting version before'),
    model_name: nameSchema.optional().describe('model of `then_train`; default: MODEL_NAME'),
    replaces: z
      .number()
      .int()
      .min(1)
      .optional()
      .describe('id of a source of the dataset that this one takes the place of, such as a folder that was moved'),
  })
  .meta({ id: 'StartIngestion' });

const statisticsViewSchema = snakeShape(datasetStatisticsSchema);

export const datasetSummaryViewSchema = z
  .object({
    name: z.string(),
    current_version: z.number().int().nullable().describe('null until the first ingestion is complete'),
    versions: z.number().int(),
    images: z.number().int(),
    classes: labelCounts(),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'DatasetSummary' });

const sourceReferenceSchema = z.object({ kind: z.string(), locator: z.string() });

const sourceReferenceOfFile = sourceOfFileSchema.extend({
  path: z.string(),
  label: z.string(),
  missing: z.boolean().describe('the folder of the source is not at its place'),
});

export const datasetViewSchema = datasetSummaryViewSchema
  .extend({
    sources: z.array(sourceReferenceSchema.extend({ id: z.number().int(), scanned_at: z.iso.datetime() })),
    history: z.array(z.object({ version: z.number().int(), digest: z.string(), created_at: z.iso.datetime() })),
  })
  .meta({ id: 'Dataset' });

export const datasetVersionViewSchema = z
  .object({
    dataset: z.string(),
    version: z.number().int(),
    digest: z.string(),
    dvc_md5: z.string(),
    created_at: z.iso.datetime(),
    statistics: statisticsViewSchema,
    sources: z.array(sourceReferenceSchema),
    quarantined: z
      .array(
        z.object({
          source: z.string(),
          path: z.string(),
          reason: z.enum(quarantineReasons),
          detail: z.string().nullable(),
        }),
      )
      .describe('the first thousand quarantined files'),
    conflicts: z
      .array(
        z.object({
          sha256: z.string(),
          labels: z.array(z.string()),
          paths: z.array(z.string()),
          files: z
            .array(sourceReferenceOfFile)
            .describe('the files of attached sources, with the label that they have now'),
          remedy: z.string().describe('who says what, and what can be done'),
        }),
      )
      .describe('the first thousand images that are excluded because they appear under two labels'),
  })
  .meta({ id: 'DatasetVersion' });

/** A file that an ingestion refused. */
export const refusedFileViewSchema = z
  .object({
    run_id: z.string().describe('the ingestion that refused it'),
    kind: z.string().describe('kind of the source'),
    locator: z.string().describe('the source'),
    path: z.string().describe('path in the source; one that is no UTF-8 begins with `bytes:` and is escaped'),
    label: z.string().nullable(),
    reason: z.enum(quarantineReasons),
    detail: z.string().nullable(),
    file_url: z.string().nullable().describe('the bytes of an uploaded file, stored for 30 days'),
  })
  .meta({ id: 'RefusedFile' });

/** An image that is excluded because the sources hold it under several labels. */
export const openConflictViewSchema = z
  .object({ sha256: z.string(), labels: z.array(z.string()), paths: z.array(z.string()) })
  .meta({ id: 'OpenConflict' });

/** `result` of a completed ingestion. */
export const ingestionResultViewSchema = snakeShape(ingestionResultSchema).meta({ id: 'IngestionResult' });
export type IngestionResultView = z.infer<typeof ingestionResultViewSchema>;

/** Answer to an upload: the stored files and the started ingestion. */
export const uploadAcceptedSchema = acceptedSchema
  .extend({
    upload_id: z.uuid(),
    files: z.number().int(),
    bytes: z.number().int(),
  })
  .meta({ id: 'UploadAccepted' });

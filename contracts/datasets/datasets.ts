import { z } from 'zod';
import { labelCounts } from './by-label.js';

/** Names of datasets and models: they appear in URLs, workflow ids and object keys. */
export const nameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'lower-case letters, digits, _ and -, at most 63 characters');

export { labelSchema } from './label.js';

/** Digest of an image in a path or a body. */
export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hexadecimal digits');

export const imageFormats = ['jpeg', 'png', 'webp'] as const;
export const imageFormatSchema = z.enum(imageFormats);
export type ImageFormat = z.infer<typeof imageFormatSchema>;

export const splits = ['train', 'validation', 'test'] as const;
export const splitSchema = z.enum(splits);
/** The split of an image, which never changes. */
export type Split = z.infer<typeof splitSchema>;

export const quarantineReasons = [
  'unsupported_type',
  'undecodable',
  'truncated',
  'too_small',
  'too_many_pixels',
  'too_many_bytes',
  'unreadable',
  'link_outside_source',
  'bad_label',
  'unsafe_entry',
  'not_listed',
  'erased',
] as const;
export const quarantineReasonSchema = z.enum(quarantineReasons);
export type QuarantineReason = z.infer<typeof quarantineReasonSchema>;

/** What file systems and programs leave in a folder of images. It is skipped, and counted. */
export const skippedKinds = [
  'thumbnails',
  'trash',
  'snapshots',
  'resource_forks',
  'system',
  'checkpoints',
  'temporary',
  'hidden',
] as const;
const skippedKindSchema = z.enum(skippedKinds);
export type SkippedKind = z.infer<typeof skippedKindSchema>;
/** Skipped files by kind. */
export const skippedSchema = z.partialRecord(skippedKindSchema, z.number().int());
export type Skipped = z.infer<typeof skippedSchema>;

export const existingSplitSchema = z
  .enum(['keep', 'ignore'])
  .describe('what becomes of folders such as train/ and val/: the images keep these sides, or are split anew');
/** What becomes of a split that a source has already. */
export type ExistingSplit = z.infer<typeof existingSplitSchema>;

/** Facts of an image from its bytes alone. */
export const imageFactsSchema = z.object({
  sha256: z.string().length(64),
  md5: z.string().length(32),
  sizeBytes: z.number().int().positive(),
  format: imageFormatSchema,
  width: z.number().int().positive(),
  height: z.number().int().positive(),
});
export type ImageFacts = z.infer<typeof imageFactsSchema>;

/**
 * Version of the digest of an image's pixels. It rises when the same file gives other pixels, such as with another JPEG
 * decoder; digests of different versions are never compared.
 */
export const pixelVersion = 1;

/** What an image shows, whatever its file. */
export interface PixelIdentity {
  /** Digest of all decoded pixels, as they are shown. */
  pixelSha256: string;
  pixelVersion: number;
  /** 64 bits in hexadecimal, of which few differ between images that look alike. */
  perceptualHash: string;
}

/** Where images come from. `default` means DATASET_DIR, else the public set, else the synthetic set. */
export const sourceSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('default'), split: existingSplitSchema.optional() }),
  z.object({ kind: z.literal('folder'), path: z.string().min(1), split: existingSplitSchema.optional() }),
  z.object({
    kind: z.literal('archive'),
    path: z.string().min(1).describe('a zip, tar or tar.gz of class folders on the machine of the pipeline worker'),
    split: existingSplitSchema.optional(),
  }),
  z.object({
    kind: z.literal('csv'),
    path: z.string().min(1).describe('a table of files and labels; the files are in its folder'),
  }),
  z.object({
    kind: z.literal('s3'),
    prefix: z.string().min(1).max(900).describe('prefix of the keys of class folders'),
    bucket: z.string().min(1).max(255).optional().describe('default: INGEST_S3_BUCKET, else S3_BUCKET'),
    split: existingSplitSchema.optional(),
  }),
  z.object({ kind: z.literal('public') }),
  z.object({ kind: z.literal('synthetic') }),
  z.object({ kind: z.literal('upload'), uploadId: z.uuid(), split: existingSplitSchema.optional() }),
  z.object({ kind: z.literal('labels'), model: nameSchema.describe('model whose labelled predictions are ingested') }),
]);
export type Source = z.infer<typeof sourceSchema>;

export const datasetStatisticsSchema = z.object({
  images: z.number().int(),
  bytes: z.number().int(),
  classes: labelCounts(),
  sides: z.record(splitSchema, labelCounts()),
  formats: z.partialRecord(imageFormatSchema, z.number().int()),
  width: z.object({ min: z.number(), mean: z.number(), max: z.number() }),
  height: z.object({ min: z.number(), mean: z.number(), max: z.number() }),
  duplicates: z
    .number()
    .int()
    .describe('files whose image another file of the same label already holds, with the same bytes or pixels'),
  quarantined: z.partialRecord(quarantineReasonSchema, z.number().int()),
  conflicts: z.number().int().describe('distinct images that appear under two labels and are excluded'),
  // Versions of earlier releases lack the following two fields.
  skipped: skippedSchema.default({}).describe('files that file systems and programs left between the images'),
  warnings: z.array(z.string()).default([]).describe('what a person should look at, such as nearly equal labels'),
  nearDuplicates: z
    .object({
      pairs: z.number().int().describe('at most 1000 are counted'),
      examples: z
        .array(
          z.object({
            images: z.array(z.string()).describe('their SHA-256'),
            labels: z.array(z.string()),
            sides: z.array(splitSchema),
            differingBits: z.number().int().describe('of the 64 of their perceptual hashes'),
          }),
        )
        .describe('the first 20'),
    })
    .optional()
    .describe('images that look almost alike; all stay in the version. Omitted for versions of earlier releases'),
  imbalanceRatio: z.number().describe('images of the largest class divided by those of the smallest'),
});
export type DatasetStatistics = z.infer<typeof datasetStatisticsSchema>;

/** An image as a member of a dataset version. */
export const exampleSchema = z.object({ sha256: z.string(), label: z.string(), side: splitSchema });
export type Example = z.infer<typeof exampleSchema>;

import { z } from 'zod';

/** What takes up space. `other` are objects that Perennial did not write; it never removes them. */
export const storageKinds = [
  'datasets',
  'features',
  'checkpoints',
  'bundles',
  'artifacts',
  'predictions',
  'uploads',
  'other',
  'database',
  'logs',
  'scratch',
  'temporal',
] as const;
export const storageKindSchema = z.enum(storageKinds);
export type StorageKind = z.infer<typeof storageKindSchema>;

/** Where it takes up space: in the bucket, in Postgres, or in the data folder on this machine. */
export const storagePlaceSchema = z.enum(['bucket', 'database', 'disk']);

export const storageItemSchema = z.object({
  kind: storageKindSchema,
  place: storagePlaceSchema,
  bytes: z.number().int().nullable().describe('null if it cannot be read from here'),
  objects: z.number().int().nullable().describe('objects or files; null for tables and for what cannot be read'),
});
export type StorageItem = z.infer<typeof storageItemSchema>;

/** Unreferenced objects of one kind. */
export const orphanCountSchema = z.object({
  kind: storageKindSchema,
  objects: z.number().int(),
  bytes: z.number().int(),
});
export type OrphanCount = z.infer<typeof orphanCountSchema>;

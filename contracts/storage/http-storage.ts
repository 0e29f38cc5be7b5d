import { z } from 'zod';
import { snakeShape } from '../http/snake-shape.js';
import { orphanCountSchema, storageItemSchema } from './storage.js';

const storageSchema = z.object({
  items: z.array(storageItemSchema),
  totalBytes: z.number().int().describe('sum of all items that could be read'),
  freeBytes: z.number().int().nullable().describe('free on the disk of the data folder'),
  diskBytes: z.number().int().nullable().describe('size of that disk'),
  measuredAt: z.iso.datetime(),
  orphans: z
    .object({
      runId: z.string(),
      foundAt: z.iso.datetime(),
      dryRun: z.boolean().describe('if true they were only counted; otherwise they were removed'),
      items: z.array(orphanCountSchema),
    })
    .nullable()
    .describe('unreferenced objects that the last completed retention found; null before the first'),
});

export const storageViewSchema = snakeShape(storageSchema).meta({ id: 'Storage' });

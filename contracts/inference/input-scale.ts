import { z } from 'zod';

/** What the numbers of an image are: 1 for values from 0 to 1, 255 for values from 0 to 255. */
export const inputScaleSchema = z.union([z.literal(1), z.literal(255)], { error: 'expected 1 or 255' });
export type InputScale = z.infer<typeof inputScaleSchema>;

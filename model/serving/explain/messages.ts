import { z } from 'zod';

// Not z.instanceof: its inferred type would shut out bytes in shared memory.
const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array);

/** Rows of a map from top to bottom: one number for each place of a picture. */
export const placeMapSchema = z.array(z.array(z.number()));
export type PlaceMap = readonly (readonly number[])[];

/** Asks a thread why it sees in an image what it sees. */
export const explainJobSchema = z.object({
  kind: z.literal('explain'),
  bytes: bytesSchema,
  /** The class to explain; null for the most probable one. */
  classIndex: z.number().int().nonnegative().nullable(),
  overlay: z.boolean(),
  neighbours: z.number().int().nonnegative(),
});
export type ExplainJob = z.infer<typeof explainJobSchema>;

/** Asks a thread to lay a map over a picture of 224×224 RGB pixels. */
export const overlayJobSchema = z.object({ kind: z.literal('overlay'), bytes: bytesSchema, map: placeMapSchema });
export type OverlayJob = z.infer<typeof overlayJobSchema>;

/** What a thread found out about one picture. */
export const explainedSchema = z.object({
  classIndex: z.number().int().nonnegative(),
  /** Null for a graph that does not tell what its places add: those who asked measure it with `pixels`. */
  map: placeMapSchema.nullable(),
  /** The picture as the model sees it, for those who go on without a map. */
  pixels: bytesSchema.nullable(),
  /** PNG. */
  overlay: bytesSchema.nullable(),
  /** Rows of the references, nearest first. */
  neighbours: z.array(z.object({ row: z.number().int().nonnegative(), distance: z.number() })),
});
export type Explained = z.infer<typeof explainedSchema>;

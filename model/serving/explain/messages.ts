import { z } from 'zod';

// Not z.instanceof: its inferred type would exclude bytes in shared memory.
const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array);

/** A heat map: rows from top to bottom, one number per region of an image. */
export const heatMapSchema = z.array(z.array(z.number()));
export type HeatMap = readonly (readonly number[])[];

/** Asks a thread to explain its prediction for an image. */
export const explainJobSchema = z.object({
  kind: z.literal('explain'),
  bytes: bytesSchema,
  /** The class to explain; null for the most probable one. */
  classIndex: z.number().int().nonnegative().nullable(),
  overlay: z.boolean(),
  neighbours: z.number().int().nonnegative(),
});
export type ExplainJob = z.infer<typeof explainJobSchema>;

/** Asks a thread to lay a map over an image of 224×224 RGB pixels. */
export const overlayJobSchema = z.object({ kind: z.literal('overlay'), bytes: bytesSchema, map: heatMapSchema });
export type OverlayJob = z.infer<typeof overlayJobSchema>;

/** A thread's explanation of one image. */
export const explainedSchema = z.object({
  classIndex: z.number().int().nonnegative(),
  /** Null for a graph without class activations: the caller then computes it by occlusion of `pixels`. */
  map: heatMapSchema.nullable(),
  /** The model's input image, for occlusion; null when there is a map. */
  pixels: bytesSchema.nullable(),
  /** PNG. */
  overlay: bytesSchema.nullable(),
  /** Rows of the references, nearest first. */
  neighbours: z.array(z.object({ row: z.number().int().nonnegative(), distance: z.number() })),
});
export type Explained = z.infer<typeof explainedSchema>;

import { z } from 'zod';
import { isErrorCode, type ErrorCode } from '../../contracts/errors.js';
import { featureTransforms } from '../../contracts/registry/bundle.js';
import type { ImageLimits } from '../images/header.js';
import { explainedSchema, explainJobSchema, overlayJobSchema } from './explain/messages.js';
import type { Near, SharedReferences } from './nearest.js';

/** Start parameters of a thread. */
export interface ThreadSetup {
  /** The graph in shared memory: one copy for all threads and restarts. */
  model: Uint8Array;
  limits: ImageLimits;
  references: SharedReferences | null;
}

// Not z.instanceof: its inferred type would exclude bytes in shared memory.
const positive = z.number().int().positive();
const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const vectorsSchema = z.custom<Float32Array>((value) => value instanceof Float32Array);

export const threadSetupSchema = z.object({
  model: bytesSchema,
  limits: z.object({ maxPixels: z.number(), maxBytes: z.number(), minSide: z.number() }),
  references: z
    .object({
      features: vectorsSchema,
      dimensions: z.number(),
      coresetRows: z.number(),
      rows: z.number(),
      transform: z.enum(featureTransforms),
    })
    .nullable(),
});

/** A job. Pixels are `count` × 224 × 224 × RGB, of which the graph runs `batchSize` at once. */
export const jobSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('image'), bytes: bytesSchema }),
  z.object({ kind: z.literal('pixels'), bytes: bytesSchema, count: positive, batchSize: positive }),
  explainJobSchema,
  overlayJobSchema,
]);
export type Job = z.infer<typeof jobSchema>;

/** Jobs dispatched together; `null` asks the thread to exit. */
export const requestSchema = z.array(jobSchema).min(1).nullable();

/** The model's output for one image. */
export interface Row {
  probabilities: number[];
  /** The nearest row of the coreset; null when the bundle has no references. */
  nearest: Near | null;
}

// The numbers are not validated again: the thread has checked them, and a second check would slow every prediction.
const rowsSchema = z.custom<Row[]>(Array.isArray);

const outcomeSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('answer'),
    /** One per image. */
    rows: rowsSchema,
    /** Only for jobs that explain. */
    explained: explainedSchema.optional(),
    decodeMs: z.number(),
    inferMs: z.number(),
  }),
  z.object({ type: z.literal('refused'), code: z.custom<ErrorCode>(isErrorCode), message: z.string() }),
]);
/** The outcome of one job. */
export type JobOutcome = z.infer<typeof outcomeSchema>;

export const replySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  /** One outcome per job, in their order. */
  z.object({ type: z.literal('done'), outcomes: z.array(outcomeSchema) }),
]);
export type Reply = z.infer<typeof replySchema>;

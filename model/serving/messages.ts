import { z } from 'zod';
import { isErrorCode, type ErrorCode } from '../../contracts/errors.js';
import { featureTransforms } from '../../contracts/registry/bundle.js';
import type { ImageLimits } from '../images/header.js';
import { explainedSchema, explainJobSchema, overlayJobSchema } from './explain/messages.js';
import type { Near, SharedReferences } from './nearest.js';

/** What a thread loads. */
export interface ThreadSetup {
  /** The graph in shared memory: one copy for all threads and restarts. */
  model: Uint8Array;
  limits: ImageLimits;
  references: SharedReferences | null;
  /** Cores for a job that is alone: beyond one, the thread keeps a second session for such jobs. */
  loneCores: number;
}

// Not z.instanceof: its inferred type would exclude bytes in shared memory.
const positive = z.number().int().positive();
const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const vectorsSchema = z.custom<Float32Array>((value) => value instanceof Float32Array);

const threadSetupSchema = z.object({
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
  loneCores: positive,
});

/** A job. Pixels are `count` × 224 × 224 × RGB. */
export const jobSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('image'), bytes: bytesSchema }),
  z.object({ kind: z.literal('pixels'), bytes: bytesSchema, count: positive }),
  explainJobSchema,
  overlayJobSchema,
]);
export type Job = z.infer<typeof jobSchema>;

/** Asks a thread to load a model, in place of the one it has. */
export const loadOrderSchema = z.object({ load: threadSetupSchema });

/** Looks at the name only: the schemas are for one kind of message each, so that errors name what is wrong. */
export function isLoadOrder(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'load' in message;
}

/** A job, and whether the other threads have none; `null` asks the thread to exit. */
export const requestSchema = z.object({ job: jobSchema, isAlone: z.boolean() }).nullable();

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
  z.object({ type: z.literal('done'), outcome: outcomeSchema }),
]);
export type Reply = z.infer<typeof replySchema>;

import { z } from 'zod';
import { isErrorCode, type ErrorCode } from '../../contracts/errors.js';
import type { ImageLimits } from '../images/header.js';
import { explainedSchema, explainJobSchema, overlayJobSchema } from './explain/messages.js';
import type { Near, SharedReferences } from './nearest.js';

/** What a thread is started with. */
export interface ThreadSetup {
  /** The bytes of the graph in shared memory: one copy, however many threads start and start again. */
  model: Uint8Array;
  limits: ImageLimits;
  references: SharedReferences | null;
}

// Not z.instanceof: its inferred type would shut out bytes in shared memory.
const positive = z.number().int().positive();
const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const vectorsSchema = z.custom<Float32Array>((value) => value instanceof Float32Array);

export const threadSetupSchema = z.object({
  model: bytesSchema,
  limits: z.object({ maxPixels: z.number(), maxBytes: z.number(), minSide: z.number() }),
  references: z
    .object({ features: vectorsSchema, dimensions: z.number(), coresetRows: z.number(), rows: z.number() })
    .nullable(),
});

/** One piece of work. Pixels are `count` × 224 × 224 × RGB, of which the graph is given `batchSize` at once. */
export const jobSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('image'), bytes: bytesSchema }),
  z.object({ kind: z.literal('pixels'), bytes: bytesSchema, count: positive, batchSize: positive }),
  explainJobSchema,
  overlayJobSchema,
]);
export type Job = z.infer<typeof jobSchema>;

/** What a thread is asked to do at once; `null` asks it to end by itself. */
export const requestSchema = z.array(jobSchema).min(1).nullable();

/** What the model says of one image. */
export interface Row {
  probabilities: number[];
  /** The nearest of the references that cover the others; null when the bundle holds none. */
  nearest: Near | null;
}

// Not looked into number by number: the thread has done so, and here it would cost every prediction.
const rowsSchema = z.custom<Row[]>(Array.isArray);

const outcomeSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('answer'),
    /** One an image. */
    rows: rowsSchema,
    /** Of the jobs that ask for it. */
    explained: explainedSchema.optional(),
    decodeMs: z.number(),
    inferMs: z.number(),
  }),
  z.object({ type: z.literal('refused'), code: z.custom<ErrorCode>(isErrorCode), message: z.string() }),
]);
/** What became of one job. */
export type JobOutcome = z.infer<typeof outcomeSchema>;

export const replySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  /** One outcome a job, in their order. */
  z.object({ type: z.literal('done'), outcomes: z.array(outcomeSchema) }),
]);
export type Reply = z.infer<typeof replySchema>;

import { z } from 'zod';
import { isErrorCode, type ErrorCode } from '../../contracts/errors.js';
import type { ImageLimits } from '../images/header.js';

/** What a thread is started with. */
export interface ThreadSetup {
  /** The bytes of model.onnx in shared memory: one copy, however many threads start and start again. */
  model: Uint8Array;
  limits: ImageLimits;
}

// Not z.instanceof: its inferred type would shut out bytes in shared memory.
const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array);

export const threadSetupSchema = z.object({
  model: bytesSchema,
  limits: z.object({ maxPixels: z.number(), maxBytes: z.number(), minSide: z.number() }),
});

/** What a thread is asked to do; one thing at a time. Pixels are `count` × 224 × 224 × RGB. */
export const jobSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('image'), bytes: bytesSchema }),
  z.object({ kind: z.literal('pixels'), bytes: bytesSchema, count: z.number().int().positive() }),
]);
export type Job = z.infer<typeof jobSchema>;

/** `null` asks a thread to end by itself. */
export const requestSchema = jobSchema.nullable();

export const replySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({
    type: z.literal('answer'),
    /** Probabilities, one row an image. */
    rows: z.array(z.array(z.number())),
    decodeMs: z.number(),
    inferMs: z.number(),
  }),
  z.object({ type: z.literal('refused'), code: z.custom<ErrorCode>(isErrorCode), message: z.string() }),
]);
export type Reply = z.infer<typeof replySchema>;

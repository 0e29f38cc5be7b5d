import { z } from 'zod';
import { isErrorCode, type ErrorCode } from '../../../contracts/errors.js';

const bodySchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array);

/** A body to parse: of `/invocations`, a V2 request in JSON, or any JSON within bounds. */
export const parseJobSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('invocation'), body: bodySchema }),
  z.object({ kind: z.literal('question'), body: bodySchema }),
  z.object({
    kind: z.literal('json'),
    body: bodySchema,
    bounds: z.object({ depth: z.number(), containers: z.number(), values: z.number() }),
  }),
]);
export type ParseJob = z.infer<typeof parseJobSchema>;

export const parseReplySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('parsed'), value: z.unknown() }),
  z.object({
    type: z.literal('refused'),
    code: z.custom<ErrorCode>(isErrorCode),
    message: z.string(),
    details: z.record(z.string(), z.unknown()),
  }),
]);
export type ParseReply = z.infer<typeof parseReplySchema>;

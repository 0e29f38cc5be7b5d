import { z } from 'zod';
import { riskPointSchema, variants, type Variant } from '../../contracts/registry/bundle.js';
import { isErrorCode, type ErrorCode } from '../../contracts/errors.js';
import type { Prediction } from './engine.js';

const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array);

/** Requests to a background process: first to load a model, then one image after another. */
export const backgroundRequestSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('open'),
    bundleFolder: z.string(),
    variant: z.enum(variants),
    limits: z.object({ maxPixels: z.number(), maxBytes: z.number(), minSide: z.number() }),
  }),
  z.object({ type: z.literal('predict'), bytes: bytesSchema }),
]);
export type BackgroundRequest = z.infer<typeof backgroundRequestSchema>;

const imagePredictionSchema = z.object({
  label: z.string(),
  confidence: z.number(),
  probabilities: z.array(z.number()),
  variant: z.enum(variants),
  unfamiliar: z.boolean(),
  distance: z.number().nullable(),
});
/** A prediction as batch rows store it. */
export type ImagePrediction = z.infer<typeof imagePredictionSchema>;

export const backgroundReplySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('opened'), riskCurve: z.array(riskPointSchema).nullable() }),
  z.object({ type: z.literal('predicted'), prediction: imagePredictionSchema }),
  z.object({ type: z.literal('failed'), code: z.custom<ErrorCode>(isErrorCode), message: z.string() }),
]);
export type BackgroundReply = z.infer<typeof backgroundReplySchema>;

export function imagePredictionOf(
  { label, confidence, probabilities, oodScore }: Prediction,
  variant: Variant,
): ImagePrediction {
  return {
    label,
    confidence,
    probabilities,
    variant,
    unfamiliar: oodScore?.outOfDistribution ?? false,
    distance: oodScore?.distance ?? null,
  };
}

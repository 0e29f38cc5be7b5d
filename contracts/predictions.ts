import { z } from 'zod';

/** Routes whose predictions are kept. */
export const predictionRoutes = ['predict', 'invocations'] as const;

/** A prediction as it is kept: never the picture, at most its hash. */
export const predictionRecordSchema = z.object({
  /** A UUIDv7: it holds the time of the prediction. */
  id: z.uuid(),
  modelName: z.string(),
  version: z.number().int(),
  generation: z.number().int(),
  /** Id of the API process that predicted. */
  replica: z.string(),
  bundleSha256: z.string(),
  predicted: z.string(),
  confidence: z.number(),
  probabilities: z.record(z.string(), z.number()),
  imageSha256: z.string().nullable(),
  latencyMs: z.number(),
  route: z.enum(predictionRoutes),
});
export type PredictionRecord = z.infer<typeof predictionRecordSchema>;

/** What can be erased on request. */
export const erasureKinds = ['prediction', 'image', 'dataset', 'model'] as const;
export type ErasureKind = (typeof erasureKinds)[number];

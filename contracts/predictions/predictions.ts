import { z } from 'zod';
import { variants } from '../registry/bundle.js';

/** Routes whose predictions are kept. */
export const predictionRoutes = ['predict', 'predict_batch', 'invocations', 'v2', 'explain'] as const;
export type PredictionRoute = (typeof predictionRoutes)[number];

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
  // What follows came later: journals of earlier releases lack it.
  variant: z.enum(variants).default('fp32').describe('the form of the network that answered'),
  distance: z.number().nullable().default(null).describe('to the nearest training image, in feature space'),
  unfamiliar: z.boolean().default(false).describe('unlike anything trained on'),
  neighbour: z.string().nullable().default(null).describe('class of the nearest training image'),
  abstained: z.boolean().default(false).describe('too uncertain for the target risk of the model'),
});
export type PredictionRecord = z.infer<typeof predictionRecordSchema>;

/** How often predictions were right, as far as labels tell. */
export interface ProductionAccuracy {
  labelled: number;
  correct: number;
  /** Null without labels, as is the interval. */
  accuracy: number | null;
  /** 95 % interval. */
  interval: [number, number] | null;
}

/** What can be erased on request. */
export const erasureKinds = ['prediction', 'image', 'dataset', 'model'] as const;
export type ErasureKind = (typeof erasureKinds)[number];

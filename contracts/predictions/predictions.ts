import { z } from 'zod';
import { labelNumbers } from '../datasets/by-label.js';
import { variants } from '../registry/bundle.js';

/** Routes whose predictions are stored. */
export const predictionRoutes = ['predict', 'predict_batch', 'invocations', 'v2', 'explain'] as const;
export type PredictionRoute = (typeof predictionRoutes)[number];

/** A stored prediction: never the image, at most its digest. */
export const predictionRecordSchema = z.object({
  /** A UUIDv7, which contains the time of the prediction. */
  id: z.uuid(),
  modelName: z.string(),
  version: z.number().int(),
  generation: z.number().int(),
  /** Id of the replica that predicted. */
  replica: z.string(),
  bundleSha256: z.string(),
  predicted: z.string(),
  confidence: z.number(),
  probabilities: labelNumbers(),
  imageSha256: z.string().nullable(),
  latencyMs: z.number(),
  route: z.enum(predictionRoutes),
  // Journals of earlier releases lack the following fields.
  variant: z.enum(variants).default('fp32').describe('the precision variant that answered'),
  distance: z.number().nullable().default(null).describe('Euclidean distance to the nearest training image'),
  unfamiliar: z.boolean().default(false).describe('out-of-distribution'),
  neighbour: z.string().nullable().default(null).describe('class of the nearest training image'),
  abstained: z.boolean().default(false).describe('too uncertain for the target risk of the model'),
});
export type PredictionRecord = z.infer<typeof predictionRecordSchema>;

/** Production accuracy, from feedback. */
export interface ProductionAccuracy {
  labelled: number;
  correct: number;
  /** Null without labels, like the interval. */
  accuracy: number | null;
  /** 95 % interval. */
  interval: [number, number] | null;
}

/** Subjects of erasures. */
export const erasureKinds = ['prediction', 'image', 'dataset', 'model'] as const;
export type ErasureKind = (typeof erasureKinds)[number];

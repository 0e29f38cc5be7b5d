import { z } from 'zod';
import { predictionSchema } from './http-predict.js';

/** Ways to find out which places of a picture speak for a class. */
export const explanationMethods = ['class_activation', 'occlusion'] as const;
export type ExplanationMethod = (typeof explanationMethods)[number];

/** Most training images shown beside an explanation. */
export const mostNeighbours = 20;

export const explanationSchema = z
  .object({
    label: z.string().describe('the class that is explained'),
    method: z
      .enum(explanationMethods)
      .describe(
        'class_activation: read from the network, exact; occlusion: what is lost when a place is hidden, for models whose graph does not tell',
      ),
    rows: z.number().int(),
    columns: z.number().int(),
    map: z
      .array(z.array(z.number()))
      .describe('what each place of the picture adds to the logit of the class, or takes from it; rows from the top'),
    logit: z
      .number()
      .describe('logarithm of the probability of the class, less the mean of the logarithms for all classes'),
    bias: z.number().nullable().describe('with class_activation, the places and this add up to the logit; else null'),
    overlay: z.string().nullable().describe('the map over the picture: a PNG in base64, 224×224'),
    neighbours: z
      .array(
        z.object({
          sha256: z.string(),
          label: z.string(),
          distance: z.number().describe('in feature space, 0 to 2'),
          image_url: z.string().nullable().describe('where the image is; null when the record cannot tell'),
        }),
      )
      .describe('the nearest training images, nearest first'),
  })
  .meta({ id: 'Explanation' });
export type ExplanationView = z.input<typeof explanationSchema>;

export const explainedPredictionSchema = predictionSchema
  .extend({ explanation: explanationSchema })
  .meta({ id: 'ExplainedPrediction' });

/** What `/predict` answers. */
export const predictAnswerSchema = predictionSchema.extend({
  explanation: explanationSchema.optional().describe('with ?explain=true'),
});

export const explainQuery = z.object({
  label: z.string().min(1).max(200).optional().describe('the class to explain; the predicted one unless given'),
  neighbours: z.coerce
    .number()
    .int()
    .min(0)
    .max(mostNeighbours)
    .default(0)
    .describe('so many of the nearest training images'),
  overlay: z.enum(['true', 'false']).default('true').describe('whether to draw the map over the picture'),
});

export const predictQuery = z.object({
  explain: z.enum(['true', 'false']).default('false').describe('whether to show which places speak for the class'),
});

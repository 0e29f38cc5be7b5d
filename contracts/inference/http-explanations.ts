import { z } from 'zod';
import { predictionSchema } from './http-predict.js';

/** Explanation methods. */
export const explanationMethods = ['class_activation', 'occlusion'] as const;
export type ExplanationMethod = (typeof explanationMethods)[number];

/** Maximum number of neighbours of an explanation. */
export const mostNeighbours = 20;

export const explanationSchema = z
  .object({
    label: z.string().describe('the explained class'),
    method: z
      .enum(explanationMethods)
      .describe(
        'class_activation: exact, from the graph; occlusion: drop of the score when a patch is masked; used when the graph has no class-activation output',
      ),
    rows: z.number().int(),
    columns: z.number().int(),
    map: z
      .array(z.array(z.number()))
      .describe('contribution of each patch to the logit of the class; rows from the top'),
    logit: z.number().describe('log probability of the class minus the mean log probability of all classes'),
    bias: z
      .number()
      .nullable()
      .describe('with class_activation, the patches and the bias add up to the logit; else null'),
    overlay: z.string().nullable().describe('heat map over the image: base64 PNG, 224×224'),
    neighbours: z
      .array(
        z.object({
          sha256: z.string(),
          label: z.string(),
          distance: z.number().describe('in feature space, 0 to 2'),
          image_url: z
            .string()
            .nullable()
            .describe('URL of the image; null if the database is unavailable or does not know it'),
        }),
      )
      .describe('the nearest training images, nearest first'),
  })
  .meta({ id: 'Explanation' });
export type ExplanationView = z.input<typeof explanationSchema>;

export const explainedPredictionSchema = predictionSchema
  .extend({ explanation: explanationSchema })
  .meta({ id: 'ExplainedPrediction' });

/** Answer of `/predict`. */
export const predictAnswerSchema = predictionSchema.extend({
  explanation: explanationSchema.optional().describe('with ?explain=true'),
});

export const explainQuery = z.object({
  label: z.string().min(1).max(200).optional().describe('the class to explain; default: the predicted one'),
  neighbours: z.coerce
    .number()
    .int()
    .min(0)
    .max(mostNeighbours)
    .default(0)
    .describe('number of nearest training images'),
  overlay: z.enum(['true', 'false']).default('true').describe('whether to draw the heat map over the image'),
});

export const predictQuery = z.object({
  explain: z.enum(['true', 'false']).default('false').describe('whether to add an explanation'),
});

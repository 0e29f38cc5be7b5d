import { z } from 'zod';
import { nameSchema } from '../datasets/datasets.js';
import { snakeShape } from '../http/snake-shape.js';
import { importLabelsSchema, importOutputs, importResultSchema, maxImportFiles, scalingSchema } from './import.js';
import {
  descriptionSchema,
  maxReportedMetrics,
  modelNameSchema,
  reportedMetricsSchema,
  givenSemanticVersionSchema,
  tagsSchema,
} from './registry.js';
import { versionNumberSchema } from './http-models.js';
import { evaluationViewSchema } from './http-versions.js';

/** Registration of a model: from a run, from files made elsewhere, or with reported metrics only. */
export const registerRunSchema = z
  .strictObject({
    run_id: z
      .string()
      .min(1)
      .max(200)
      .describe('a finished run; or send `model_name` and `metrics` to register a version without a file'),
    model_name: modelNameSchema.optional(),
    description: descriptionSchema.optional(),
    tags: tagsSchema.optional(),
    semantic_version: givenSemanticVersionSchema.optional(),
  })
  .meta({ id: 'RegisterRun' });

/** The records of zod omit the key `__proto__`, so it is refused. */
const hasNoPrototype = (metrics: unknown): boolean =>
  typeof metrics !== 'object' || metrics === null || !Object.hasOwn(metrics, '__proto__');

const metricsBody = z
  .custom(hasNoPrototype, '`__proto__` is no name for a metric')
  .pipe(
    reportedMetricsSchema
      .refine((metrics) => Object.keys(metrics).length > 0, 'name at least one metric')
      .describe('figures by name, such as {"accuracy": 0.95}; for a finished run send `run_id`, for a file a form'),
  )
  .meta({
    type: 'object',
    additionalProperties: { type: 'number' },
    minProperties: 1,
    maxProperties: maxReportedMetrics,
  });

export const reportVersionSchema = z
  .strictObject({
    model_name: modelNameSchema,
    metrics: metricsBody,
    description: descriptionSchema.default(''),
    tags: tagsSchema.default({}),
    semantic_version: givenSemanticVersionSchema.optional(),
  })
  .meta({ id: 'ReportVersion' });

/** A form field with JSON. */
const jsonText = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'this is not valid JSON' });
    return z.NEVER;
  }
});

/** Labels as a JSON list, or separated by commas. */
const labelsText = z.union([
  z.string().startsWith('[').pipe(jsonText),
  z.string().transform((text) => text.split(',').map((label) => label.trim())),
]);

const optionalText = z.string().optional();

/** Fields of the upload form, all text. */
export const importFieldsSchema = z.object({
  model_name: modelNameSchema,
  dataset: nameSchema.optional(),
  labels: labelsText.pipe(importLabelsSchema),
  preprocessing: jsonText.pipe(scalingSchema).optional(),
  output: z.enum(importOutputs).default('probabilities'),
  description: descriptionSchema.default(''),
  tags: jsonText.pipe(tagsSchema).optional(),
  licence: z.string().min(1).max(200).optional(),
  semantic_version: givenSemanticVersionSchema.optional(),
  version: versionNumberSchema.optional(),
});

/** The same form for OpenAPI. */
export const importFormViewSchema = z
  .object({
    model_name: z.string(),
    labels: z.string().describe('the classes in the order of the outputs: a JSON list, or separated by commas'),
    dataset: optionalText.describe('dataset whose newest test images evaluate the model; default: DATASET_NAME'),
    output: z.enum(importOutputs).optional().describe('logits get a softmax; default probabilities'),
    preprocessing: optionalText.describe(
      'JSON {"mean", "std"} on pixels of 0–255, a number or one each for R, G and B, when the model does not scale them itself',
    ),
    description: optionalText,
    tags: optionalText.describe('JSON object of strings'),
    licence: optionalText.describe('of the model; shown in its card'),
    semantic_version: optionalText.describe('for example 1.4.0; assigned if omitted'),
    version: optionalText.describe('a version without a file, which gets this one; omitted: the next version'),
    files: z
      .array(z.string().meta({ format: 'binary' }))
      .min(1)
      .max(maxImportFiles)
      .describe('one .onnx file, or the model.json of a TF.js layers model with its weight files'),
  })
  .meta({ id: 'RegisterUpload' });

/** `result` of a completed import. */
export const importResultViewSchema = snakeShape(importResultSchema)
  .extend({ version: z.string(), test: evaluationViewSchema })
  .meta({ id: 'ImportResult' });

import { z } from 'zod';
import { snakeShape } from '../http/snake-shape.js';
import { evaluationSchema } from '../training/training.js';
import {
  comparisonSchema,
  outcomes,
  gateReasonSchema,
  reportedMetricsSchema,
  stages,
  origins,
  versionArchitectures,
} from './registry.js';
import { remeasurementSchema } from './remeasurement.js';

/** Versions, as JSON. */

export const evaluationViewSchema = snakeShape(evaluationSchema).meta({ id: 'Evaluation' });

export const comparisonViewSchema = snakeShape(comparisonSchema).extend({ production_version: z.string() });

export const decisionViewSchema = z
  .object({
    outcome: z.enum(outcomes),
    summary: z.string(),
    reasons: z.array(gateReasonSchema),
    comparison: comparisonViewSchema.nullable(),
  })
  .meta({ id: 'Decision' });

/** A file of a version's bundle. */
export const versionFileViewSchema = z
  .object({
    name: z.string(),
    sha256: z.string(),
    size_bytes: z.number().int(),
    content_type: z.string(),
    url: z.string(),
  })
  .meta({ id: 'VersionFile' });

export const modelVersionViewSchema = z
  .object({
    model_name: z.string(),
    version: z.string(),
    semantic_version: z.string(),
    stage: z.enum(stages),
    description: z.string(),
    tags: z.record(z.string(), z.string()),
    origin: z
      .enum(origins)
      .describe('trained here, imported, or reported: without a file, and null where only a file gives a value'),
    run_id: z.string().nullable(),
    architecture: z.enum(versionArchitectures).nullable(),
    labels: z.array(z.string()).nullable(),
    dataset: z.string().nullable(),
    dataset_version: z.number().int().nullable(),
    dataset_digest: z.string().nullable(),
    bundle_sha256: z.string().nullable(),
    size_bytes: z.number().int().nullable(),
    metrics: evaluationViewSchema.nullable().describe('measured here on the test images'),
    remeasurement: snakeShape(remeasurementSchema)
      .nullable()
      .describe(
        'on the test images with the pixels it is served with now; null unless `metrics` are of an earlier preprocessing',
      ),
    reported_metrics: reportedMetricsSchema
      .nullable()
      .describe('measured elsewhere and sent with the registration; Perennial did not check them'),
    decision: decisionViewSchema
      .nullable()
      .describe('the one the version was promoted by; before its first promotion the newest validation'),
    last_validation: decisionViewSchema.nullable().describe('the newest validation, also one after the promotion'),
    last_validated_at: z.iso.datetime().nullable(),
    verified_at: z.iso.datetime().nullable().describe('when the bundle was last verified'),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'ModelVersion' });
export type ModelVersionView = z.infer<typeof modelVersionViewSchema>;

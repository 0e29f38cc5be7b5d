import { z } from 'zod';
import { nameSchema } from '../datasets/datasets.js';
import { runKinds } from './experiments.js';
import { evaluationViewSchema } from '../registry/http-versions.js';
import { runStatuses } from '../workflows/runs.js';
import { descriptionSchema, tagChangesSchema, tagsSchema } from '../registry/registry.js';

/** Experiments and runs, as JSON. */
export const experimentViewSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    description: z.string().nullable(),
    tags: z.record(z.string(), z.string()),
    runs: z.number().int(),
    created_at: z.iso.datetime(),
    last_run_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Experiment' });

export const createExperimentSchema = z
  .strictObject({
    name: nameSchema,
    description: descriptionSchema.nullable().default(null),
    tags: tagsSchema.default({}),
  })
  .meta({ id: 'CreateExperiment' });

export const editExperimentSchema = z
  .strictObject({ description: descriptionSchema.optional(), tags: tagChangesSchema.optional() })
  .meta({ id: 'EditExperiment' });

const runNameSchema = z
  .string()
  .min(1)
  .max(200)
  .refine((name) => !/\p{Cc}/u.test(name), 'a name holds no control character');

export const editRunSchema = z
  .strictObject({ name: runNameSchema.optional(), tags: tagChangesSchema.optional() })
  .meta({ id: 'EditRun' });

export const runSummaryViewSchema = z
  .object({
    run_id: z.string(),
    name: z.string(),
    experiment: z.string(),
    kind: z.enum(runKinds),
    status: z.enum(runStatuses),
    model_name: z.string(),
    model_version: z.string().nullable().describe('the version of the run'),
    dataset: z.string(),
    dataset_version: z.number().int(),
    parameters: z.record(z.string(), z.unknown()),
    metrics: z
      .record(z.string(), z.number())
      .describe('the last value of each per-step metric, and the test metrics of a completed run'),
    tags: z.record(z.string(), z.string()),
    parent_run_id: z.string().nullable().describe('the search of the trial'),
    workflow_id: z.string(),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    started_at: z.iso.datetime(),
    ended_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'RunSummary' });

export const artifactViewSchema = z
  .object({
    name: z.string(),
    content_type: z.string(),
    size_bytes: z.number().int(),
    sha256: z.string(),
    url: z.string(),
  })
  .meta({ id: 'Artifact' });

export const runViewSchema = runSummaryViewSchema
  .extend({
    attempts: z.number().int().describe('number of attempts of the training'),
    best_epoch: z.number().int().nullable(),
    weights_sha256: z.string().nullable(),
    code_revision: z.string(),
    validation: evaluationViewSchema.nullable(),
    test: evaluationViewSchema.nullable(),
    checkpoints: z.number().int(),
    artifacts: z.array(artifactViewSchema),
    pipeline_id: z.string().nullable().describe('the pipeline of the run: GET /api/v1/pipelines/{run_id}'),
    temporal_url: z.string().nullable(),
  })
  .meta({ id: 'Run' });

export const metricCurveViewSchema = z
  .object({
    name: z.string(),
    total_points: z.number().int(),
    points: z
      .array(z.object({ step: z.number().int(), value: z.number(), recorded_at: z.iso.datetime() }))
      .describe('downsampled to max_points: minimum and maximum of each interval stay'),
  })
  .meta({ id: 'MetricCurve' });

export const runComparisonViewSchema = z
  .object({
    runs: z.array(runSummaryViewSchema.pick({ run_id: true, name: true, experiment: true, kind: true, status: true })),
    parameters: z
      .array(z.object({ name: z.string(), values: z.array(z.unknown()) }))
      .describe('differing parameters; values in the order of the runs'),
    metrics: z.array(
      z.object({
        name: z.string(),
        values: z.array(z.number().nullable()).describe('in the order of the runs'),
        better: z.enum(['higher', 'lower']).nullable(),
        best: z.array(z.string()).describe('ids of the runs with the best value'),
      }),
    ),
    curves: z.array(z.string()).describe('per-step metrics of at least one run'),
  })
  .meta({ id: 'RunComparison' });

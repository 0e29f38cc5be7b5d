import type { z } from 'zod';
import {
  artifactViewSchema,
  experimentViewSchema,
  runSummaryViewSchema,
  runViewSchema,
} from '../../contracts/experiments/http-experiments.js';
import { contentTypeOf } from '../http/content-type.js';
import { snakeShape, toSnake, type CamelInput } from '../../contracts/http/snake-shape.js';
import { hyperparametersSchema } from '../../contracts/training/training.js';
import type { Experiment, RunSummary } from '../../stores/experiments/experiments.js';
import type { RunDetail } from '../../stores/experiments/run-details.js';
import type { Artifact } from '../../stores/experiments/runs.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';

/** An experiment as JSON. */
export function experimentView(experiment: Experiment): z.input<typeof experimentViewSchema> {
  return toSnake(experimentViewSchema, experiment);
}

/** A run in a list, as JSON. */
export function runSummaryView(run: RunSummary | RunDetail): z.input<typeof runSummaryViewSchema> {
  return toSnake(runSummaryViewSchema, { ...run, parameters: parametersOf(run), metrics: run.finalMetrics });
}

/** A run with all its details, as JSON. */
export function runView(
  run: RunDetail,
  artifacts: readonly Artifact[],
  temporalUrl: TemporalUrl,
): z.input<typeof runViewSchema> {
  return toSnake(runViewSchema, {
    ...run,
    parameters: parametersOf(run),
    metrics: run.finalMetrics,
    attempts: run.attempt,
    validation: run.metrics && run.metrics.validation,
    test: run.metrics && run.metrics.test,
    artifacts: artifacts.map((artifact) => artifactOf(run, artifact)),
    temporalUrl: run.temporalRunId === null ? null : temporalUrl(run.workflowId, run.temporalRunId),
  });
}

type RunOfArtifact = Pick<RunDetail, 'experiment' | 'runId'>;

/** An artefact of a run with its URL, as JSON. */
export function artifactView(run: RunOfArtifact, artifact: Artifact): z.input<typeof artifactViewSchema> {
  return toSnake(artifactViewSchema, artifactOf(run, artifact));
}

function artifactOf({ experiment, runId }: RunOfArtifact, artifact: Artifact): CamelInput<typeof artifactViewSchema> {
  const path = `/api/v1/experiments/${experiment}/runs/${encodeURIComponent(runId)}/artifacts`;
  return {
    ...artifact,
    contentType: contentTypeOf(artifact.name),
    url: `${path}/${encodeURIComponent(artifact.name)}`,
  };
}

const parametersSchema = snakeShape(hyperparametersSchema);

/** Parameters by the names that filters use. */
export function parametersOf({ hyperparameters }: Pick<RunSummary, 'hyperparameters'>): Record<string, unknown> {
  return hyperparameters ? toSnake(parametersSchema, hyperparameters) : {};
}

import { extname } from 'node:path';
import type { z } from 'zod';
import type {
  artifactViewSchema,
  experimentViewSchema,
  runSummaryViewSchema,
  runViewSchema,
} from '../../contracts/experiments/http-experiments.js';
import { snakeKeys } from '../../domain/snake-keys.js';
import type { Experiment, RunSummary } from '../../stores/experiments/experiments.js';
import type { RunDetail } from '../../stores/experiments/run-details.js';
import type { Artifact } from '../../stores/experiments/runs.js';
import { evaluationView } from '../registry/version-view.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';

/** An experiment in the spelling of HTTP. */
export function experimentView({
  id,
  createdAt,
  lastRunAt,
  ...same
}: Experiment): z.input<typeof experimentViewSchema> {
  return { ...same, id: String(id), created_at: createdAt, last_run_at: lastRunAt };
}

/** A run as lists show it. */
export function runSummaryView(run: RunSummary | RunDetail): z.input<typeof runSummaryViewSchema> {
  return {
    run_id: run.runId,
    name: run.name,
    experiment: run.experiment,
    kind: run.kind,
    status: run.status,
    model_name: run.modelName,
    model_version: run.modelVersion === null ? null : String(run.modelVersion),
    dataset: run.dataset,
    dataset_version: run.datasetVersion,
    parameters: parametersOf(run),
    metrics: run.finalMetrics,
    tags: run.tags,
    parent_run_id: run.parentRunId,
    workflow_id: run.workflowId,
    error: run.error,
    started_at: run.startedAt,
    ended_at: run.endedAt,
  };
}

/** A run with everything that is known of it. */
export function runView(
  run: RunDetail,
  artifacts: readonly Artifact[],
  temporalUrl: TemporalUrl,
): z.input<typeof runViewSchema> {
  return {
    ...runSummaryView(run),
    attempts: run.attempt,
    best_epoch: run.bestEpoch,
    weights_sha256: run.weightsSha256,
    code_revision: run.codeRevision,
    validation: run.metrics && evaluationView(run.metrics.validation),
    test: run.metrics && evaluationView(run.metrics.test),
    checkpoints: run.checkpoints,
    artifacts: artifacts.map((artifact) => artifactView(run, artifact)),
    pipeline_id: run.pipelineId,
    temporal_url: run.temporalRunId === null ? null : temporalUrl(run.workflowId, run.temporalRunId),
  };
}

/** A file that a run left, and where to get it. */
export function artifactView(
  { experiment, runId }: Pick<RunDetail, 'experiment' | 'runId'>,
  { name, sizeBytes, sha256 }: Artifact,
): z.input<typeof artifactViewSchema> {
  return {
    name,
    content_type: contentTypeOf(name),
    size_bytes: sizeBytes,
    sha256,
    url: `/api/v1/experiments/${experiment}/runs/${encodeURIComponent(runId)}/artifacts/${encodeURIComponent(name)}`,
  };
}

/** Parameters by the names that filters know them by. */
export function parametersOf({ hyperparameters }: Pick<RunSummary, 'hyperparameters'>): Record<string, unknown> {
  const named = snakeKeys(hyperparameters);
  return typeof named === 'object' && named !== null ? { ...named } : {};
}

const contentTypes: Readonly<Record<string, string>> = {
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.json': 'application/json',
  '.md': 'text/markdown; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.csv': 'text/csv; charset=utf-8',
};

/** The media type of a file by its name. */
export function contentTypeOf(name: string): string {
  return contentTypes[extname(name).toLowerCase()] ?? 'application/octet-stream';
}

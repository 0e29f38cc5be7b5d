import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { messageOf } from '../../contracts/errors.js';
import { evaluationViewSchema } from '../../contracts/registry/http-versions.js';
import { pipelineSchema } from '../../contracts/pipelines/http-pipelines.js';
import { modelInfoSchema, predictionSchema } from '../../contracts/inference/http-predict.js';
import { modelSummaryViewSchema } from '../../contracts/registry/http-models.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { healthSchema } from '../../contracts/http/health.js';
import type { Progress } from '../setup/progress.mjs';
import { ApiProblem, createApiClient, type ApiClient } from './api-client.js';
import { createStepReporter } from './pipeline-progress.js';
import { sampleImage } from './sample-image.js';

export interface FirstRunOptions {
  apiUrl: string;
  /** DATASET_DIR, for an image to predict. */
  datasetFolder: string | null;
  progress: Progress;
  signal: AbortSignal;
  pollMs?: number;
}

type Pipeline = z.infer<typeof pipelineSchema>;

/**
 * Makes sure that a model is served, through the REST API only. Prints the served version, or starts the retraining
 * pipeline (or joins the run that an interrupted start left) and prints its steps, the metrics and one prediction. Never
 * throws: a failed first run must not stop the stack.
 */
export async function runFirstTime(options: FirstRunOptions): Promise<void> {
  const { progress, signal } = options;
  const api = createApiClient(options.apiUrl, signal);
  try {
    const health = await api.get('/health', healthSchema);
    if (health.model_loaded) {
      progress.print(`\n${health.model_name} version ${health.model_version ?? '?'} is being served.`);
      return;
    }
    const retired = await describeRetirement(api, health.model_name);
    if (retired !== null) {
      progress.print(`\n${retired} Nothing is trained or served until a person promotes a version.`);
      return;
    }
    if (await trainFirstModel(api, options)) await showModel(api, options);
  } catch (error) {
    if (signal.aborted) return;
    const code = error instanceof ApiProblem ? ` (${error.code})` : '';
    progress.print(`\nThe first run failed${code}: ${messageOf(error)}`);
    progress.print(`The stack keeps running. Fix the cause, then start a retraining: ${retryCommand(options.apiUrl)}`);
  }
}

/** A sentence about the retirement of the model; null if it was not retired, or never had a version. */
async function describeRetirement(api: ApiClient, modelName: string): Promise<string | null> {
  try {
    const { retired } = await api.get(`/api/v1/mlops/models/${encodeURIComponent(modelName)}`, modelSummaryViewSchema);
    return retired && `${modelName} was retired by ${retired.by} at ${retired.at} (${retired.reason}).`;
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 404) return null;
    throw error;
  }
}

async function trainFirstModel(api: ApiClient, options: FirstRunOptions): Promise<boolean> {
  const { progress, apiUrl, signal, pollMs = 300 } = options;
  const accepted = await api.post(
    '/api/v1/pipelines/retraining',
    { trigger: 'first_run', source: { kind: 'default' } },
    acceptedSchema,
  );
  const opening = accepted.joined
    ? 'No model is served yet. The training that an earlier start began continues:'
    : 'First run: no model is served yet, so one is trained and promoted.';
  progress.print(`\n${opening}`);
  const report = createStepReporter(progress);
  const path = `/api/v1/pipelines/${encodeURIComponent(accepted.run_id)}`;
  let pipeline = await api.get(path, pipelineSchema);
  report(pipeline.steps);
  while (pipeline.status === 'running') {
    await sleep(pollMs, undefined, { signal });
    pipeline = await api.get(path, pipelineSchema);
    report(pipeline.steps);
  }
  if (pipeline.status === 'completed') return true;
  showFailure(pipeline, progress, apiUrl);
  return false;
}

function showFailure(pipeline: Pipeline, progress: Progress, apiUrl: string): void {
  const code = pipeline.error?.code ?? pipeline.status;
  progress.print(
    `\nThe first training ended as ${pipeline.status} (${code}): ${pipeline.error?.message ?? 'no reason was recorded'}`,
  );
  if (pipeline.temporal_url !== null) progress.print(`Details: ${pipeline.temporal_url}`);
  progress.print(`The stack keeps running. Fix the cause, then start a retraining: ${retryCommand(apiUrl)}`);
}

function retryCommand(apiUrl: string): string {
  return `curl -X POST ${apiUrl}/api/v1/pipelines/retraining -H 'content-type: application/json' -d '{"source":{"kind":"default"}}'`;
}

async function showModel(
  api: ApiClient,
  { datasetFolder, progress, signal, pollMs = 300 }: FirstRunOptions,
): Promise<void> {
  let health = await api.get('/health', healthSchema);
  for (let polls = 0; !health.model_loaded && polls < 20; polls += 1) {
    await sleep(pollMs, undefined, { signal });
    health = await api.get('/health', healthSchema);
  }
  if (!health.model_loaded) {
    progress.print('\nThe pipeline promoted no model; the steps above give the reason. No model is served yet.');
    return;
  }
  const info = await api.get('/model/info', modelInfoSchema);
  progress.print(
    `\n${info.model_name} version ${info.model_version} (${info.architecture}) is served. On its test images:`,
  );
  showMetrics(info.metrics, progress);
  const image = sampleImage(datasetFolder);
  const answer = await api.upload('/predict', { name: 'image', bytes: image.bytes }, predictionSchema);
  progress
    .begin('sample prediction')
    .end(`${answer.prediction}, confidence ${answer.confidence.toFixed(3)}, for ${image.name}`);
}

function showMetrics(metrics: unknown, progress: Progress): void {
  const parsed = evaluationViewSchema.safeParse(metrics);
  if (!parsed.success) return;
  const { intervals, images, ...values } = parsed.data;
  const rows = {
    accuracy: 'accuracy',
    precision: 'precision',
    recall: 'recall',
    f1: 'F1',
    roc_auc: 'ROC-AUC',
  } as const;
  for (const name of ['accuracy', 'precision', 'recall', 'f1', 'roc_auc'] as const) {
    const [low, high] = intervals[name];
    progress
      .begin(rows[name])
      .end(`${values[name].toFixed(3)}  (95 % interval ${low.toFixed(3)} to ${high.toFixed(3)})`);
  }
  progress.begin('test images').end(String(images));
}

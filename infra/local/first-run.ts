import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { messageOf } from '../../contracts/errors.js';
import { evaluationViewSchema } from '../../contracts/registry/http-versions.js';
import { pipelineSchema } from '../../contracts/pipelines/http-pipelines.js';
import { modelInfoSchema, predictionSchema } from '../../contracts/inference/http-predict.js';
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
 * Sees to it that a model is served, by nothing but the REST API: tells which one is, or starts the retraining pipeline
 * (or joins the one an interrupted start left), tells its steps, the metrics and one prediction. Never throws: the
 * stack stays up whatever happens here.
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
    if (await trainFirstModel(api, options)) await showModel(api, options);
  } catch (error) {
    if (signal.aborted) return;
    const code = error instanceof ApiProblem ? ` (${error.code})` : '';
    progress.print(`\nThe first run could not be carried out${code}: ${messageOf(error)}`);
    progress.print(`The stack stays up. Mend the cause, then: ${tryAgain(options.apiUrl)}`);
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
    ? 'No model is served yet; the training that an earlier start began goes on:'
    : 'First run: no model is served yet, so one is trained and promoted.';
  progress.print(`\n${opening}`);
  const tell = createStepReporter(progress);
  const path = `/api/v1/pipelines/${encodeURIComponent(accepted.run_id)}`;
  let pipeline = await api.get(path, pipelineSchema);
  tell(pipeline.steps);
  while (pipeline.status === 'running') {
    await sleep(pollMs, undefined, { signal });
    pipeline = await api.get(path, pipelineSchema);
    tell(pipeline.steps);
  }
  if (pipeline.status === 'completed') return true;
  showFailure(pipeline, progress, apiUrl);
  return false;
}

function showFailure(pipeline: Pipeline, progress: Progress, apiUrl: string): void {
  const code = pipeline.error?.code ?? pipeline.status;
  progress.print(
    `\nThe first training ended as ${pipeline.status} (${code}): ${pipeline.error?.message ?? 'no reason given'}`,
  );
  if (pipeline.temporal_url !== null) progress.print(`What happened in detail: ${pipeline.temporal_url}`);
  progress.print(`The stack stays up. Mend the cause, then: ${tryAgain(apiUrl)}`);
}

function tryAgain(apiUrl: string): string {
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
    progress.print('\nThe pipeline ended without a promoted model; the step above says why. Nothing is served yet.');
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
    .begin('a prediction')
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

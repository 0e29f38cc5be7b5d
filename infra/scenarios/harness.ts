import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { policyBodySchema, type PolicyBody } from '../../contracts/promotion/http-policies.js';
import { rollbackViewSchema } from '../../contracts/promotion/http-promotions.js';
import { pipelineViewSchema } from '../../contracts/pipelines/http-pipelines.js';
import { healthSchema } from '../../contracts/http/health.js';
import { pageOf } from '../../contracts/http/page.js';
import { createApiClient, type ApiClient } from '../local/api-client.js';
import type { Progress, Step } from '../setup/progress.mjs';

/** What a scenario runs on: the REST API of a running stack, and a progress report with timestamps. */
export interface Harness {
  api: ApiClient;
  apiUrl: string;
  /** The served model. A scenario promotes versions of it, because only those answer predictions. */
  modelName: string;
  /** A dataset name of this run only, so that the scenario never touches the user's datasets. */
  dataset: string;
  signal: AbortSignal;
  /** Prints an event with the time since the start. */
  report(text: string): void;
  /** Begins a line for an event that takes long; `end` completes it. */
  begin(): Step;
  /** Overrides parts of the policy until the scenario ends. Promotions need no approval meanwhile. */
  setPolicy(parts: PolicyParts): Promise<void>;
  /** Waits until a run has ended, with any status. */
  waitForRun(runId: string): Promise<Run>;
}

export interface PolicyParts {
  retraining?: Partial<PolicyBody['retraining']>;
  guard?: Partial<PolicyBody['guard']>;
}
export type Run = z.output<typeof pipelineViewSchema>;

/** An expectation of the scenario was not met. */
export class FailedExpectation extends Error {}

/** Fails the scenario unless the condition holds. `expectation` is a sentence, for instance "version 3 answers". */
export function expectThat(condition: boolean, expectation: string): asserts condition {
  if (!condition) throw new FailedExpectation(expectation);
}

export interface HarnessOptions {
  apiUrl: string;
  progress: Progress;
  signal: AbortSignal;
}

const runLimitMs = 600_000;
const restoreLimitMs = 60_000;
const pollMs = 200;

/** Runs a scenario, then restores the policy and the served version, also when it fails or is interrupted. */
export async function withHarness<T>(
  { apiUrl, progress, signal }: HarnessOptions,
  scenario: (harness: Harness) => Promise<T>,
): Promise<T> {
  const api = clientOf(apiUrl, signal);
  const { model_name: modelName, model_version: version } = await api.get('/health', healthSchema);
  expectThat(version !== null, 'a model is served. Wait until the first run has ended, then run the scenario again');
  const policyPath = `/api/v1/mlops/models/${modelName}/policy`;
  const policy = await api.get(policyPath, policyBodySchema);
  const { report, begin } = timestamped(progress);
  const dataset = `scenario_${Date.now().toString(36)}`;
  const harness: Harness = {
    ...{ api, apiUrl, modelName, dataset, signal, report, begin },
    async setPolicy({ retraining, guard }) {
      const approval = { ...policy.approval, mode: 'never' };
      const parts = { retraining: { ...policy.retraining, ...retraining }, guard: { ...policy.guard, ...guard } };
      await api.put(policyPath, { ...policy, approval, ...parts }, policyBodySchema);
    },
    waitForRun: (runId) => waitForRun(api, runId, signal, begin()),
  };
  report(`version ${version} of ${modelName} is served; it and its policy are restored at the end`);
  try {
    return await scenario(harness);
  } finally {
    // The scenario's own signal may be aborted by now.
    const restoring = clientOf(apiUrl, AbortSignal.timeout(restoreLimitMs));
    await cancelRunsOn(restoring, dataset);
    await restoring.put(policyPath, policy, policyBodySchema);
    await restoreVersion(restoring, modelName, version);
    report(`version ${version} is served again, and its policy is restored`);
  }
}

function clientOf(apiUrl: string, signal: AbortSignal): ApiClient {
  return createApiClient(apiUrl, signal, { actor: 'scenario' });
}

function timestamped(progress: Progress): Pick<Harness, 'report' | 'begin'> {
  const startedMs = performance.now();
  const begin = (): Step => progress.begin(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s`);
  return { begin, report: (text) => begin().end(text, 0) };
}

async function waitForRun(api: ApiClient, runId: string, signal: AbortSignal, line: Step): Promise<Run> {
  const deadline = Date.now() + runLimitMs;
  for (;;) {
    const run = await api.get(`/api/v1/pipelines/${runId}`, pipelineViewSchema);
    if (run.status !== 'running') {
      line.end(describeEnd(run));
      return run;
    }
    const step = run.steps.find(({ status }) => status === 'running');
    if (step) line.progress(`${run.workflow}: ${step.name} ${step.detail ?? ''}`);
    expectThat(Date.now() < deadline, `run ${runId} ends within ${runLimitMs / 60_000} minutes`);
    await sleep(pollMs, undefined, { signal });
  }
}

function describeEnd({ workflow, status, result, error }: Run): string {
  if (error !== null) return `${workflow} ${status}: ${error.message}`;
  if (result === null) return `${workflow} ${status}`;
  if ('statistics' in result) {
    return `${workflow}: version ${result.version} of ${result.dataset} with ${result.statistics.images} images`;
  }
  // For a promotion, the gate's decision says more than the summary, which counts the replicas that answer.
  if ('decision' in result && result.outcome === 'promoted') return `${workflow}: ${result.decision.summary}`;
  return 'summary' in result ? `${workflow}: ${result.summary}` : `${workflow} ${status}`;
}

/** Cancels the runs that an interrupted scenario leaves. */
async function cancelRunsOn(api: ApiClient, dataset: string): Promise<void> {
  const path = '/api/v1/pipelines';
  const running = await api.get(`${path}?status=running`, pageOf(pipelineViewSchema));
  for (const { id } of running.items.filter((run) => run.dataset?.startsWith(dataset))) {
    // The API refuses to cancel a run that has ended meanwhile.
    await api.post(`${path}/${id}/cancel`, {}, pipelineViewSchema).catch(() => undefined);
    while ((await api.get(`${path}/${id}`, pipelineViewSchema)).status === 'running') await sleep(pollMs);
  }
}

async function restoreVersion(api: ApiClient, modelName: string, version: string): Promise<void> {
  if ((await api.get('/health', healthSchema)).model_version === version) return;
  const order = { version: Number(version), reason: 'The scenario is over.' };
  await api.post(`/api/v1/mlops/models/${modelName}/rollback`, order, rollbackViewSchema);
  // On a busy machine the rollback returns before the replica has loaded the version.
  while ((await api.get('/health', healthSchema)).model_version !== version) await sleep(pollMs);
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { policyBodySchema, type PolicyBody } from '../../contracts/promotion/http-policies.js';
import { rollbackViewSchema } from '../../contracts/promotion/http-promotions.js';
import { pipelineViewSchema } from '../../contracts/pipelines/http-pipelines.js';
import { healthSchema } from '../../contracts/http/health.js';
import { pageOf } from '../../contracts/http/page.js';
import { createApiClient, type ApiClient } from '../local/api-client.js';
import type { Step, Progress } from '../setup/progress.mjs';

/** What a scenario is played on: the REST API of a running stack, and a progress of what happens. */
export interface Harness {
  api: ApiClient;
  apiUrl: string;
  /** The model that is served. What a scenario promotes are versions of it, for only these answer. */
  modelName: string;
  /** A name for data of this performance alone: the user's data stay as they are. */
  dataset: string;
  signal: AbortSignal;
  /** Tells an event, with the time since the beginning. */
  tell(text: string): void;
  /** A line that is told when its event has ended. */
  begin(): Step;
  /** Sets parts of the policy; what was set before comes back at the end. Nobody is asked for approval meanwhile. */
  setPolicy(parts: PolicyParts): Promise<void>;
  /** Waits until a run has ended, however it did. */
  ended(runId: string): Promise<Run>;
}

export interface PolicyParts {
  retraining?: Partial<PolicyBody['retraining']>;
  guard?: Partial<PolicyBody['guard']>;
}
export type Run = z.output<typeof pipelineViewSchema>;

/** Something that the scenario is to show has not come true. */
export class FailedAssertion extends Error {}

/** Ends the scenario unless what it is to show has come true. */
export function assertTrue(isTrue: boolean, what: string): asserts isTrue {
  if (!isTrue) throw new FailedAssertion(what);
}

export interface HarnessOptions {
  apiUrl: string;
  progress: Progress;
  signal: AbortSignal;
}

const runLimitMs = 600_000;
const restoreLimitMs = 60_000;
const pollMs = 200;

/**
 * Plays on a stage, and leaves the model with the policy and the version that it had before, also when the play
 * fails or is broken off.
 */
export async function withHarness<T>(
  { apiUrl, progress, signal }: HarnessOptions,
  play: (stage: Harness) => Promise<T>,
): Promise<T> {
  const api = clientOf(apiUrl, signal);
  const { model_name: modelName, model_version: version } = await api.get('/health', healthSchema);
  assertTrue(
    version !== null,
    'a model is served, which is what scenarios are about. Wait until the first run has ended',
  );
  const policyPath = `/api/v1/mlops/models/${modelName}/policy`;
  const policy = await api.get(policyPath, policyBodySchema);
  const { tell, begin } = timestamped(progress);
  const dataset = `scenario_${Date.now().toString(36)}`;
  const stage: Harness = {
    ...{ api, apiUrl, modelName, dataset, signal, tell, begin },
    async setPolicy({ retraining, guard }) {
      const approval = { ...policy.approval, mode: 'never' };
      const parts = { retraining: { ...policy.retraining, ...retraining }, guard: { ...policy.guard, ...guard } };
      await api.put(policyPath, { ...policy, approval, ...parts }, policyBodySchema);
    },
    ended: (runId) => waitForRun(api, runId, signal, begin()),
  };
  tell(`version ${version} of ${modelName} serves; it and its policy will be back at the end`);
  try {
    return await play(stage);
  } finally {
    const still = clientOf(apiUrl, AbortSignal.timeout(restoreLimitMs));
    await cancelRunsOn(still, dataset);
    await still.put(policyPath, policy, policyBodySchema);
    await restoreVersion(still, modelName, version);
    tell(`version ${version} serves again, and the policy is what it was`);
  }
}

function clientOf(apiUrl: string, signal: AbortSignal): ApiClient {
  return createApiClient(apiUrl, signal, { actor: 'scenario' });
}

function timestamped(progress: Progress): Pick<Harness, 'tell' | 'begin'> {
  const startedMs = performance.now();
  const begin = (): Step => progress.begin(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s`);
  return { begin, tell: (text) => begin().end(text, 0) };
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
    assertTrue(Date.now() < deadline, `run ${runId} ends within ${runLimitMs / 60_000} minutes`);
    await sleep(pollMs, undefined, { signal });
  }
}

function describeEnd({ workflow, status, result, error }: Run): string {
  if (error !== null) return `${workflow} ${status}: ${error.message}`;
  if (result === null) return `${workflow} ${status}`;
  if ('statistics' in result) {
    return `${workflow}: version ${result.version} of ${result.dataset} with ${result.statistics.images} images`;
  }
  // Of a promotion the gate's words tell more than that replicas answer.
  if ('decision' in result && result.outcome === 'promoted') return `${workflow}: ${result.decision.summary}`;
  return 'summary' in result ? `${workflow}: ${result.summary}` : `${workflow} ${status}`;
}

/** Runs are left behind when the scenario is broken off. */
async function cancelRunsOn(api: ApiClient, dataset: string): Promise<void> {
  const path = '/api/v1/pipelines';
  const running = await api.get(`${path}?status=running`, pageOf(pipelineViewSchema));
  for (const { id } of running.items.filter((run) => run.dataset?.startsWith(dataset))) {
    // One that has ended meanwhile refuses.
    await api.post(`${path}/${id}/cancel`, {}, pipelineViewSchema).catch(() => undefined);
    while ((await api.get(`${path}/${id}`, pipelineViewSchema)).status === 'running') await sleep(pollMs);
  }
}

async function restoreVersion(api: ApiClient, modelName: string, version: string): Promise<void> {
  if ((await api.get('/health', healthSchema)).model_version === version) return;
  const order = { version: Number(version), reason: 'The scenario is over.' };
  await api.post(`/api/v1/mlops/models/${modelName}/rollback`, order, rollbackViewSchema);
}

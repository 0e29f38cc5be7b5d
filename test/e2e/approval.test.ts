import { z } from 'zod';
import { createApiClient, poll, type ApiClient } from '../support/api-client.js';
import { startStack, type ProcessName, type TestStack } from '../support/stack.js';

const model = 'dandelion_grass_classifier';
const processes: ProcessName[] = ['pipeline', 'training', 'api'];

let stack: TestStack;
let api: ApiClient;
beforeAll(async () => {
  stack = await startStack();
  api = createApiClient(stack.apiUrl);
}, 60_000);
afterAll(() => stack.stop());

async function askForApproval(): Promise<void> {
  const response = await fetch(`${stack.apiUrl}/api/v1/mlops/models/${model}/policy`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ approval: { mode: 'always' } }),
  });
  expect(response.status).toBe(200);
}

async function approvals(): Promise<unknown[]> {
  const { body } = await api.get('/api/v1/approvals?outcome=waiting');
  return z.object({ items: z.array(z.unknown()) }).parse(body).items;
}

/** Kills our processes with SIGKILL, shuts the services down, and restarts everything. */
async function restartEverything({ services: { postgres, objects, temporal } }: TestStack): Promise<void> {
  await Promise.all(processes.map((name) => stack.kill(name)));
  await Promise.all([postgres, objects, temporal].map((service) => service.pause()));
  await Promise.all([postgres, objects, temporal].map((service) => service.resume()));
  await Promise.all(processes.map((name) => stack.start(name)));
}

it('a retraining that waits for approval still waits after a full restart, and promotes when approved', async () => {
  await askForApproval();
  const hyperparameters = { epochs: 4 };
  const { run_id: runId } = await api.startRetraining({ source: { kind: 'synthetic' }, hyperparameters });
  await poll(approvals, (waiting) => waiting.length === 1, 120_000);
  await restartEverything(stack);
  expect(await approvals()).toMatchObject([{ model_name: model, version: '1', requested_by: 'pipeline (manual)' }]);
  const waits = await api.pipeline(runId);
  expect(waits.status).toBe('running');
  expect(waits.steps.find(({ name }) => name === 'deploy_new_model')?.detail).toMatch(/waits for approval until/);
  const answer = await api.post(`/api/v1/pipelines/${runId}/approve`, { comment: 'after the night' });
  expect(answer).toMatchObject({ status: 200, body: { outcome: 'approved', comment: 'after the night' } });
  expect(await api.ended(runId)).toMatchObject({ status: 'completed', result: { outcome: 'promoted', version: '1' } });
});

import { setTimeout as sleep } from 'node:timers/promises';
import { createApiClient, type ApiClient } from '../support/api-client.js';
import { startStack, type Services, type TestStack } from '../support/stack.js';

const minuteMs = 60_000;

let stack: TestStack;
let api: ApiClient;

beforeAll(async () => {
  stack = await startStack();
  api = createApiClient(stack.apiUrl);
}, 60_000);

afterAll(() => stack.stop());

async function awayForAMinute(name: keyof Services): Promise<void> {
  await stack.services[name].pause();
  await sleep(minuteMs);
  await stack.services[name].resume();
}

describe('a service that is unavailable for a minute in the middle of a run', () => {
  it.each<[keyof Services, string]>([
    ['objects', 'train_new_model'],
    ['postgres', 'train_new_model'],
    ['temporal', 'train_new_model'],
  ])(
    '%s: the same run completes',
    async (name, step) => {
      const { run_id } = await api.startRetraining({ source: { kind: 'synthetic' } });
      await api.reached(run_id, step);
      await awayForAMinute(name);
      const ended = await api.ended(run_id, 180_000);
      expect(ended).toMatchObject({ id: run_id, status: 'completed', error: null });
    },
    300_000,
  );
});

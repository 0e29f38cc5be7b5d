import { createHook, executionAsyncId } from 'node:async_hooks';
import { createTemporalLink, type TemporalLink } from '../../../../api/workflows/temporal-link.js';
import { startTemporal } from '../../../support/services.js';

/** Whether Node runs a hook for each promise, as it then gives each an id of its own. */
async function followsPromises(): Promise<boolean> {
  await Promise.resolve();
  const first = executionAsyncId();
  await Promise.resolve();
  return executionAsyncId() !== first;
}

describe('the connection of the API to Temporal', () => {
  let temporal: Awaited<ReturnType<typeof startTemporal>>;
  let link: TemporalLink;
  beforeAll(async () => {
    temporal = await startTemporal();
    link = createTemporalLink({ address: temporal.address, namespace: 'default', apiKey: undefined, tls: false });
  });
  afterAll(async () => {
    await link.close();
    await temporal.stop();
  });

  it('leaves no hook behind that follows every promise of the process', async () => {
    const hook = createHook({ init: () => undefined }).enable();
    expect(await followsPromises()).toBe(true);
    hook.disable();
    expect(await followsPromises()).toBe(false);

    await link.probe();
    await Promise.all([link.probe(), link.probe(), link.probe()]);
    expect(await followsPromises()).toBe(false);
    await expect(link.use(() => Promise.reject(new Error('a failed call')))).rejects.toThrow('a failed call');
    expect(await followsPromises()).toBe(false);
  });

  it('keeps the deadline of a call while others begin and end', async () => {
    const workflowId = 'never-taken-up';
    const start = { workflowId, taskQueue: 'without-workers', args: [] };
    await link.use((client) => client.workflow.start('noWorkflow', start));
    const waiting = link.use(async (client) => {
      await link.probe();
      // Without the deadline this waits for as long as the workflow runs.
      await client.workflow.result(workflowId);
    }, 2_000);
    const answered = waiting.catch((error: unknown) => error);
    const tooLate = setTimeout(
      () => void link.use((client) => client.workflow.getHandle(workflowId).terminate('no deadline was kept')),
      20_000,
    );
    await Promise.all([link.probe(), link.probe()]);
    await link.probe();
    expect(await answered).toMatchObject({ code: 'temporal_unavailable' });
    clearTimeout(tooLate);
  });
});

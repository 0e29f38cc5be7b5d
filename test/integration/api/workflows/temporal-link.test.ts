import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createTemporalLink, type TemporalLink } from '../../../../api/workflows/temporal-link.js';
import { startTemporal } from '../../../support/services.js';

const program = new URL('../../../support/programs/promise-hooks.js', import.meta.url).pathname;

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
    const { stdout } = await promisify(execFile)(process.execPath, [program, temporal.address]);
    expect(JSON.parse(stdout)).toEqual({ whileEnabled: true, before: false, afterCalls: false, afterFailure: false });
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

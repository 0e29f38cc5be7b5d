import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { packageRoot } from '../../platform/paths.js';
import { decisionOf, hyperparameters } from '../support/figures.js';
import { createFakeActivities, type AllActivities } from '../support/fake-activities.js';
import { startWorkflowServer, type WorkflowServer } from '../support/workflow-server.js';

/**
 * Records the histories that the replay tests run: `node dist/test/replay/record-histories.js`. Histories of
 * released workflows are added to, never replaced: they stand for the runs that are open at our users'.
 */
const cases: Record<string, Partial<AllActivities>> = {
  promoted: {},
  refused: { validateCandidate: () => Promise.resolve(decisionOf('refuse')) },
  'rolled-back': { checkReplicas: () => Promise.resolve({ passed: false, replicas: [], detail: 'it answered 500' }) },
  failed: { packageModel: () => Promise.reject(ApplicationFailure.nonRetryable('it differs', 'parity_failed')) },
};

const server = await startWorkflowServer();
for (const [name, replaced] of Object.entries(cases)) await recordCase(server, name, replaced);
await server.stop();

async function recordCase({ client, withWorkers }: WorkflowServer, name: string, replaced: Partial<AllActivities>): Promise<void> {
  await withWorkers(createFakeActivities(replaced).activities, async () => {
    const handle = await client.workflow.start('retrainingPipeline', {
      workflowId: `retrain-recorded-${name}`,
      taskQueue: 'pipeline',
      args: [
        { modelName: 'm', dataset: 'd', trigger: 'manual', requestId: randomUUID(), source: { kind: 'synthetic' }, hyperparameters },
      ],
    });
    await handle.result().catch(() => undefined);
  });
  for await (const { workflowId, runId, type } of client.workflow.list({ query: 'ORDER BY StartTime' })) {
    if (workflowId.startsWith(`retrain-recorded-${name}`)) await save(client, `${type}/${name}${suffixOf(workflowId)}`, { workflowId, runId });
  }
}

/** Several children of a kind in one run would share a file name: their ids end in their number. */
function suffixOf(workflowId: string): string {
  return /-\d$/.exec(workflowId)?.[0] ?? '';
}

async function save(client: WorkflowServer['client'], path: string, { workflowId, runId }: { workflowId: string; runId: string }): Promise<void> {
  const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const file = join(packageRoot, 'test/replay/histories', `${path}.json`);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, historyToJSON(history) + '\n');
  process.stdout.write(`${path}\n`);
}

import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ApplicationFailure } from '@temporalio/common';
import { temporalBinary } from '../../infra/local/binaries.js';
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

async function recordCase(
  { client, address, withWorkers }: WorkflowServer,
  name: string,
  replaced: Partial<AllActivities>,
): Promise<void> {
  const recordedId = `retrain-recorded-${name}`;
  await withWorkers(createFakeActivities(replaced).activities, async () => {
    const handle = await client.workflow.start('retrainingPipeline', {
      workflowId: recordedId,
      taskQueue: 'pipeline',
      args: [
        {
          modelName: 'm',
          dataset: 'd',
          trigger: 'manual',
          requestId: randomUUID(),
          source: { kind: 'synthetic' },
          hyperparameters,
        },
      ],
    });
    await handle.result().catch(() => undefined);
  });
  // The list of workflows follows a moment after their end.
  await setTimeout(1_000);
  for await (const { workflowId, runId, type } of client.workflow.list({
    query: `WorkflowId STARTS_WITH "${recordedId}"`,
  })) {
    await save(address, `${type}/${name}${suffixOf(workflowId)}`, { workflowId, runId });
  }
}

/** Several children of a kind in one run would share a file name: their ids end in their number. */
function suffixOf(workflowId: string): string {
  return /prepare_training_data(-\d+)$/.exec(workflowId)?.[1] ?? '';
}

/** The command line's JSON form is the one that is meant to be kept. */
async function save(
  address: string,
  path: string,
  { workflowId, runId }: { workflowId: string; runId: string },
): Promise<void> {
  const show = [
    'workflow',
    'show',
    '--address',
    address,
    '--workflow-id',
    workflowId,
    '--run-id',
    runId,
    '--output',
    'json',
  ];
  const { stdout } = await promisify(execFile)(temporalBinary(), show, { maxBuffer: 50_000_000 });
  const file = join(packageRoot, 'test/replay/histories', `${path}.json`);
  await mkdir(dirname(file), { recursive: true });
  // Stack traces in failures name this machine's folders, which are nobody's business.
  await writeFile(file, stdout.replaceAll(packageRoot, ''));
  process.stdout.write(`${path}\n`);
}

import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ApplicationFailure } from '@temporalio/common';
import { temporalBinary } from '../../infra/local/binaries.js';
import { taskQueues, workflowTypes } from '../../contracts/names.js';
import { searchBudgetSchema, searchSpaceSchema } from '../../contracts/tuning.js';
import { packageRoot } from '../../platform/paths.js';
import { decisionOf, hyperparameters } from '../support/figures.js';
import { createFakeActivities, type AllActivities } from '../support/fake-activities.js';
import { startWorkflowServer, type WorkflowServer } from '../support/workflow-server.js';

/**
 * Records the histories that the replay tests run: `node dist/test/replay/record-histories.js`, or some of them when
 * their names follow. Histories of released workflows are added to, never replaced: they stand for the runs that are
 * open at our users'.
 */
interface Case {
  workflow: string;
  /** How ids of its workflow begin. */
  prefix: string;
  input: object;
  replaced: Partial<AllActivities>;
}

const named = { modelName: 'm', dataset: 'd', trigger: 'manual', requestId: randomUUID() };

function retraining(replaced: Partial<AllActivities>): Case {
  const input = { ...named, source: { kind: 'synthetic' }, hyperparameters };
  return { workflow: workflowTypes.retrainingPipeline, prefix: 'retrain', input, replaced };
}

/** Three trials, of which one goes on to a second rung. */
function search(replaced: Partial<AllActivities>): Case {
  const budget = searchBudgetSchema.parse({ trials: 3, minEpochs: 1, maxEpochs: 3 });
  const input = { ...named, space: searchSpaceSchema.parse({}), budget };
  return { workflow: workflowTypes.tuneModel, prefix: 'tune', input, replaced };
}

function request(replaced: Partial<AllActivities>): Case {
  const input = { modelName: 'm', dataset: null, kind: 'continuous_training', trigger: 'schedule', requestId: null };
  return { workflow: workflowTypes.requestRetraining, prefix: 'request', input, replaced };
}

function retention(replaced: Partial<AllActivities>): Case {
  const input = { dryRun: false, trigger: 'schedule' };
  return { workflow: workflowTypes.applyRetention, prefix: 'retention', input, replaced };
}

const refuse = (): Promise<never> => Promise.reject(ApplicationFailure.nonRetryable('refused', 'object_store_refused'));
const diverge = (): Promise<never> => Promise.reject(ApplicationFailure.nonRetryable('it left', 'training_diverged'));

const cases: Record<string, Case> = {
  promoted: retraining({}),
  refused: retraining({ validateCandidate: () => Promise.resolve(decisionOf('refuse')) }),
  'rolled-back': retraining({
    checkReplicas: () => Promise.resolve({ passed: false, replicas: [], detail: 'it answered 500' }),
  }),
  failed: retraining({
    packageModel: () => Promise.reject(ApplicationFailure.nonRetryable('it differs', 'parity_failed')),
  }),
  searched: search({
    runTrialRung: ({ trial, epochs }) =>
      trial.number === 3
        ? diverge()
        : Promise.resolve({ epochs, bestEpoch: 0, loss: trial.number / epochs, accuracy: 0.9 }),
  }),
  'search-failed': search({ runTrialRung: diverge }),
  'request-started': request({
    foldersToRescan: () => Promise.resolve({ dataset: 'd', sources: [{ kind: 'folder', path: '/photographs' }] }),
  }),
  'request-skipped': request({
    decideOnRetraining: () => Promise.resolve({ decision: 'skip', reason: 'Skipped: nothing changed' }),
  }),
  'request-unstarted': request({ startDecidedRetraining: refuse }),
  'retention-applied': retention({}),
  'retention-failed': retention({
    removeExpired: ({ step }) => (step === 'remove_uploads' ? refuse() : Promise.resolve(3)),
  }),
};

const wanted = process.argv.slice(2);
const server = await startWorkflowServer();
for (const [name, each] of Object.entries(cases)) {
  if (wanted.length === 0 || wanted.includes(name)) await recordCase(server, name, each);
}
await server.stop();

async function recordCase(
  { client, address, withWorkers }: WorkflowServer,
  name: string,
  { workflow, prefix, input, replaced }: Case,
): Promise<void> {
  const recordedId = `${prefix}-recorded-${name}`;
  await withWorkers(createFakeActivities(replaced).activities, async () => {
    const options = { workflowId: recordedId, taskQueue: taskQueues.pipeline, args: [input] };
    const handle = await client.workflow.start(workflow, options);
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
  return (
    /(?:(?:prepare_training_data|look_for_new_files)(-\d+)|(-trial-\d+-rung-\d+))$/
      .exec(workflowId)
      ?.slice(1)
      .join('') ?? ''
  );
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

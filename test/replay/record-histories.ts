import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { temporalBinary } from '../../infra/local/binaries.js';
import { approveUpdate, rejectUpdate, taskQueues, workflowTypes } from '../../contracts/names.js';
import type { Verdict } from '../../contracts/promotion/promotion-pipeline.js';
import { searchBudgetSchema, searchSpaceSchema } from '../../contracts/experiments/tuning.js';
import { packageRoot } from '../../platform/paths.js';
import { decisionOf, evaluationOf, hyperparameters, tester } from '../support/measurements.js';
import { createFakeActivities, type AllActivities } from '../support/fake-activities.js';
import { startWorkflowServer, type WorkflowServer } from '../support/workflow-server.js';

/**
 * Records the histories that the replay tests run: `node dist/test/replay/record-histories.js`, or some of them when
 * their names follow. Histories of released workflows are added to, never replaced: they represent the
 * open runs of existing installations.
 */
interface Case {
  workflow: string;
  /** Prefix of the ids of its workflow. */
  prefix: string;
  input: object;
  replaced: Partial<AllActivities>;
  /** The update that is sent to the workflow as soon as it waits. */
  answer?: typeof approveUpdate | typeof rejectUpdate;
}

const named = { modelName: 'm', dataset: 'd', trigger: 'manual', requestId: randomUUID() };

function retraining(replaced: Partial<AllActivities>): Case {
  const input = { ...named, source: { kind: 'synthetic' }, hyperparameters };
  return { workflow: workflowTypes.retrainingPipeline, prefix: 'retrain', input, replaced };
}

/** Three trials, of which one continues to a second rung. */
function search(replaced: Partial<AllActivities>): Case {
  const budget = searchBudgetSchema.parse({ trials: 3, minEpochs: 1, maxEpochs: 3 });
  const input = { ...named, space: searchSpaceSchema.parse({}), budget };
  return { workflow: workflowTypes.tuneModel, prefix: 'tune', input, replaced };
}

function request(replaced: Partial<AllActivities>): Case {
  const input = { modelName: 'm', dataset: null, kind: 'continuous_training', trigger: 'schedule', requestId: null };
  return { workflow: workflowTypes.requestRetraining, prefix: 'request', input, replaced };
}

/** An ingestion after which a training is started. */
function ingestion(replaced: Partial<AllActivities>): Case {
  const input = { ...named, source: { kind: 'synthetic' }, thenTrain: { modelName: 'm' } };
  return { workflow: workflowTypes.ingestDataset, prefix: 'ingest', input, replaced };
}

function retention(replaced: Partial<AllActivities>): Case {
  const input = { dryRun: false, trigger: 'schedule' };
  return { workflow: workflowTypes.applyRetention, prefix: 'retention', input, replaced };
}

function importing(replaced: Partial<AllActivities>): Case {
  const input = { ...named, uploadId: randomUUID(), contentId: 'c'.repeat(32), format: 'onnx' };
  return { workflow: workflowTypes.importModel, prefix: 'import', input, replaced };
}

function batch(replaced: Partial<AllActivities>): Case {
  const input = { jobId: randomUUID(), modelName: 'm', dataset: null };
  return { workflow: workflowTypes.batchPredict, prefix: 'batch', input, replaced };
}

/** A manual promotion, which waits for the answer. */
function promotion(answer: NonNullable<Case['answer']>): Case {
  const asked = decisionOf('needs_approval');
  const input = { modelName: 'm', version: 2, actor: 'ada', reason: 'better', idempotencyKey: 'k', decision: asked };
  return { workflow: workflowTypes.promoteModel, prefix: 'promote', input, replaced: {}, answer };
}

function guard(replaced: Partial<AllActivities>): Case {
  const input = { modelName: 'm', version: 2, generation: 7, idempotencyKey: 'k' };
  return { workflow: workflowTypes.guardPromotion, prefix: 'guard', input, replaced };
}

/** Another promotion happens in between, once. */
function overtakenOnce(): Partial<AllActivities> {
  let tries = 0;
  return {
    moveProduction: () => {
      tries += 1;
      if (tries === 1) return Promise.reject(ApplicationFailure.nonRetryable('it changed', 'stale_promotion'));
      return Promise.resolve({ formerVersion: 1, generation: 7, guardMinutes: 5 });
    },
  };
}

/** The first attempt to open the record and the first to move Production find no database. */
function databaseAwayOnce(): Partial<AllActivities> {
  const away = (): Promise<never> => Promise.reject(ApplicationFailure.retryable('away', 'database_unavailable'));
  let [opens, moves] = [0, 0];
  return {
    openPipeline: () => ((opens += 1) === 1 ? away() : Promise.resolve()),
    moveProduction: () => ((moves += 1) === 1 ? away() : Promise.resolve({ formerVersion: null, generation: 1 })),
  };
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
  overtaken: retraining(overtakenOnce()),
  'approval-expired': retraining({
    validateCandidate: () => Promise.resolve(decisionOf('needs_approval')),
    openApproval: () => Promise.resolve({ onExpiry: 'reject', waitMs: 200 }),
  }),
  'database-away': retraining(databaseAwayOnce()),
  'no-data': retraining({ selectTrainingData: refuse }),
  approved: promotion(approveUpdate),
  rejected: promotion(rejectUpdate),
  'guard-passed': guard({}),
  'guard-rolled-back': guard({ watchPromotion: () => Promise.resolve({ outcome: 'breach', detail: 'it failed' }) }),
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
  'then-trained': ingestion({}),
  imported: importing({}),
  'import-failed': importing({
    checkModelUpload: () => Promise.reject(ApplicationFailure.nonRetryable('no ONNX model', 'bundle_invalid')),
    discardModelUpload: refuse,
  }),
  'imported-before': importing({
    findImported: ({ contentId }) =>
      Promise.resolve({
        runId: `upload-${contentId}`,
        known: {
          modelName: 'm',
          version: 1,
          isNewVersion: false,
          runId: `upload-${contentId}`,
          dataset: 'd',
          datasetVersion: 1,
          test: evaluationOf(0.9),
          notes: [],
        },
      }),
  }),
  predicted: batch({}),
  'predict-failed': batch({
    predictBatchChunk: ({ chunk }) => (chunk === 1 ? refuse() : Promise.resolve({ items: 100, failed: 2 })),
    mergeBatchResults: refuse,
  }),
  'retention-applied': retention({}),
  'retention-orphans-removed': retention({}),
  'retention-orphans-refused': retention({ removeOrphanedObjects: refuse }),
  'retention-failed': retention({
    removeExpired: ({ step }) => (step === 'remove_uploads' ? refuse() : Promise.resolve(3)),
  }),
};

/** Recorded again since activities carry the states of steps and a retraining is one workflow, … */
const carrying = ['promoted', 'refused', 'rolled-back', 'failed', 'overtaken', 'approval-expired', 'approved'];
const alsoCarrying = ['searched', 'then-trained', 'imported', 'predicted', 'predict-failed', 'retention-applied'];
/** … and since short activities run in the worker of the workflow. */
const local = [
  'promoted',
  'refused',
  'failed',
  'overtaken',
  'approval-expired',
  'database-away',
  'no-data',
  'searched',
];
const eras = { carried: [...carrying, ...alsoCarrying], local };
for (const [era, names] of Object.entries(eras)) {
  for (const name of names) {
    const known = cases[name];
    if (known) cases[`${era}-${name}`] = known;
  }
}

const wanted = process.argv.slice(2);
const server = await startWorkflowServer();
for (const [name, each] of Object.entries(cases)) {
  if (wanted.length === 0 || wanted.includes(name)) await recordCase(server, name, each);
}
await server.stop();

async function recordCase(
  { client, address, withWorkers }: WorkflowServer,
  name: string,
  { workflow, prefix, input, replaced, answer }: Case,
): Promise<void> {
  const recordedId = `${prefix}-recorded-${name}`;
  await withWorkers(createFakeActivities(replaced).activities, async () => {
    const options = { workflowId: recordedId, taskQueue: taskQueues.pipeline, args: [input] };
    const handle = await client.workflow.start(workflow, options);
    if (answer) await sendAnswer(handle, answer);
    await handle.result().catch(() => undefined);
  });
  // The list of workflows is updated a moment after they end.
  await setTimeout(1_000);
  for await (const { workflowId, runId, type } of client.workflow.list({
    query: `WorkflowId STARTS_WITH "${recordedId}"`,
  })) {
    await save(address, `${type}/${name}${suffixOf(workflowId)}`, { workflowId, runId });
  }
}

/** Repeats the update, which is rejected until the workflow waits. */
async function sendAnswer(handle: WorkflowHandle, answer: NonNullable<Case['answer']>): Promise<void> {
  const verdict: Verdict = { by: tester, comment: 'as I say' };
  for (let tries = 1; ; tries += 1) {
    try {
      await handle.executeUpdate(answer, { args: [verdict] });
      return;
    } catch (error) {
      if (tries === 20) throw error;
      await setTimeout(100);
    }
  }
}

/** Several children of a kind in one run would share a file name: their ids end in their number. */
function suffixOf(workflowId: string): string {
  return (
    /(?:(?:prepare_training_data|look_for_new_files|validate_new_model|deploy_new_model)(-\d+)|(-trial-\d+-rung-\d+))$/
      .exec(workflowId)
      ?.slice(1)
      .join('') ?? ''
  );
}

/** Temporal's JSON form of a history, as its command line writes it. */
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
  // Stack traces in failures contain paths of this machine; remove them.
  await writeFile(file, stdout.replaceAll(packageRoot, ''));
  process.stdout.write(`${path}\n`);
}

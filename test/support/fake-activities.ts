import type { IngestionActivities } from '../../activities/ingestion/activities.js';
import type { BatchPredictionActivities } from '../../activities/batch-prediction/activities.js';
import type { ApprovalActivities } from '../../activities/promotion/approval-activities.js';
import type { GuardActivities } from '../../activities/promotion/guard-activities.js';
import type { PromotionActivities } from '../../activities/promotion/activities.js';
import type { CheckActivities, ImportActivities } from '../../activities/import/activities.js';
import type { RecordActivities } from '../../activities/runtime/records.js';
import type { PipelineEnd, StepEntry } from '../../contracts/workflows/runs.js';
import type { RequestActivities } from '../../activities/retraining/request-activities.js';
import type { RetentionActivities } from '../../activities/retention/activities.js';
import type { RetrainingActivities } from '../../activities/retraining/activities.js';
import type { RegistrationActivities, TrainingActivities } from '../../activities/training/activities.js';
import type { SearchActivities, TrialActivities } from '../../activities/tuning/activities.js';
import type { ValidationActivities } from '../../activities/validation/activities.js';
import { decisionOf, evaluationOf, ingestionResultOf } from './measurements.js';

export type AllActivities = RecordActivities &
  BatchPredictionActivities &
  IngestionActivities &
  RetrainingActivities &
  RequestActivities &
  RetentionActivities &
  ValidationActivities &
  PromotionActivities &
  ApprovalActivities &
  GuardActivities &
  CheckActivities &
  ImportActivities &
  TrainingActivities &
  RegistrationActivities &
  SearchActivities &
  TrialActivities;

/** What workflows recorded through the fake activities. */
export interface Written {
  opened: string[];
  steps: StepEntry<string>[];
  ends: PipelineEnd[];
  calls: string[];
}

/**
 * Activities that all succeed immediately, so that a test replaces only the one it is about. Workflows are tested with
 * these on a real Temporal server; the real activities have their own tests.
 */
export function createFakeActivities(replaced: Partial<AllActivities> = {}): {
  activities: AllActivities;
  written: Written;
} {
  const written: Written = { opened: [], steps: [], ends: [], calls: [] };
  const succeed: AllActivities = {
    ...fakeRecords(written),
    ...fakeIngestion(),
    ...fakeRequests(),
    ...fakeImport(),
    ...fakeBatch(),
    checkModelPerformance: () => Promise.resolve({ version: null, accuracy: null, detail: 'none yet' }),
    checkNewData: () => Promise.resolve({ newImages: 100, newShare: 1, detail: 'all new' }),
    sourcesToRescan: () => Promise.resolve([]),
    selectTrainingData: () => Promise.resolve({ datasetVersion: 1, images: 100 }),
    sendNotification: () => Promise.resolve(),
    extractFeatures: () => Promise.resolve({ images: 100, newFeatures: 100 }),
    fitModel: () => Promise.resolve({ bestEpoch: 3, epochs: 5, weightsSha256: 'a'.repeat(64) }),
    packageModel: () => Promise.resolve({ bundleKey: 'models/m/aaaa', bundleSha256: 'b'.repeat(64) }),
    registerModel: () => Promise.resolve({ version: 1, test: evaluationOf(0.95) }),
    failTraining: () => Promise.resolve(),
    openSearch: () => Promise.resolve(),
    // Later trials have better results.
    runTrialRung: ({ trial, epochs }) =>
      Promise.resolve({ epochs, bestEpoch: epochs - 1, loss: 1 / (trial.number + epochs), accuracy: 0.9 }),
    endRung: () => Promise.resolve(),
    closeSearch: () => Promise.resolve(),
    validateCandidate: () => Promise.resolve(decisionOf('promote')),
    moveProduction: () => Promise.resolve({ formerVersion: null, generation: 1 }),
    checkReplicas: () =>
      Promise.resolve({ passed: true, replicas: ['http://127.0.0.1:1'], detail: 'one replica answers' }),
    openApproval: () => Promise.resolve({ onExpiry: 'reject', waitMs: 60_000 }),
    closeApproval: () => Promise.resolve(),
    watchPromotion: () => Promise.resolve({ outcome: 'passed', detail: 'nothing wrong' }),
    moveProductionBack: () => Promise.resolve({ formerVersion: null, generation: 2 }),
  };
  return { activities: noteCalls({ ...succeed, ...replaced }, written), written };
}

function fakeRecords(written: Written): RecordActivities {
  return {
    openPipeline: ({ workflow }) => Promise.resolve(void written.opened.push(workflow)),
    enterSteps: (_runId, steps) => Promise.resolve(void written.steps.push(...steps)),
    closePipeline: (_runId, end) => Promise.resolve(void written.ends.push(end)),
  };
}

function fakeRequests(): RequestActivities & RetentionActivities {
  return {
    foldersToRescan: () => Promise.resolve({ dataset: 'flowers', sources: [] }),
    decideOnRetraining: () => Promise.resolve({ decision: 'retrain', reason: 'there are new images' }),
    startDecidedRetraining: () => Promise.resolve({ workflowId: 'retrain-m', runId: 'run', joined: false }),
    noteUnstartedRetraining: () => Promise.resolve(),
    trainOnNewVersion: ({ modelName }) =>
      Promise.resolve({ modelName, runId: 'run', joined: false, reason: 'Started the retraining of m: run run.' }),
    removeExpired: () => Promise.resolve(3),
    removeOrphanedObjects: () => Promise.resolve([{ kind: 'features', objects: 3, bytes: 3_000_000 }]),
    noteRetention: () => Promise.resolve(),
  };
}

function fakeIngestion(): IngestionActivities {
  return {
    resolveSource: () => Promise.resolve({ kind: 'folder', locator: '/photographs', isDefault: false, note: null }),
    scanSource: () => Promise.resolve({ files: 100, refused: 0 }),
    ingestBatch: () => Promise.resolve({ pending: 0, accepted: 100, quarantined: 0, newImages: 100, duplicates: 0 }),
    commitDatasetVersion: () => Promise.resolve(ingestionResultOf('flowers')),
    discardUpload: () => Promise.resolve(),
    abandonIngestion: () => Promise.resolve(),
  };
}

function fakeBatch(): BatchPredictionActivities {
  return {
    beginBatch: () => Promise.resolve(),
    listBatchItems: () => Promise.resolve({ items: 250, chunks: 3 }),
    predictBatchChunk: ({ chunk }) => Promise.resolve({ items: chunk === 2 ? 50 : 100, failed: 0 }),
    mergeBatchResults: ({ jobId }) => Promise.resolve({ jobId, items: 250, failed: 0, predicted: { grass: 250 } }),
    closeBatch: () => Promise.resolve(),
    discardBatchUpload: () => Promise.resolve(),
  };
}

function fakeImport(): CheckActivities & ImportActivities {
  const result = { modelName: 'm', version: 1, dataset: 'd', datasetVersion: 1, test: evaluationOf(0.9), notes: [] };
  return {
    findImported: ({ contentId }) => Promise.resolve({ runId: `upload-${contentId}`, known: null }),
    checkModelUpload: () => Promise.resolve({ datasetVersion: 1, notes: ['A softmax was put behind its logits.'] }),
    evaluateModelUpload: () =>
      Promise.resolve({
        bundle: { bundleKey: 'models/m/cccc', bundleSha256: 'c'.repeat(64) },
        images: 100,
        accuracy: 0.9,
      }),
    registerModelUpload: ({ runId }) => Promise.resolve({ ...result, runId, isNewVersion: true }),
    discardModelUpload: () => Promise.resolve(),
  };
}

/** The same activities, which record their calls. */
function noteCalls(activities: AllActivities, written: Written): AllActivities {
  return new Proxy(activities, {
    get(target, name): unknown {
      const activity: unknown = Reflect.get(target, name);
      if (typeof activity !== 'function') return activity;
      return (...args: unknown[]): unknown => {
        written.calls.push(String(name));
        return Reflect.apply(activity, target, args);
      };
    },
  });
}

import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiDependencies } from '../../api/routes.js';
import { noInputCapture } from '../../api/predictions/inputs/input-capture.js';
import { createApiMetrics, type ApiMetrics } from '../../api/metrics.js';
import { createPredictor } from '../../api/inference/predictor.js';
import { modelPolicySchema } from '../../contracts/promotion/policy.js';
import { createTemporalUrl } from '../../api/workflows/temporal-url.js';
import { createLogger } from '../../platform/logging.js';
import { roomyStorage } from './storage.js';

/** Dependencies of an API without a model and with an empty database. Tests replace the ones they test. */
export function emptyDependencies(replaced: Partial<ApiDependencies> & { metrics?: ApiMetrics } = {}): ApiDependencies {
  const nothing = (): never => {
    throw new Error('this test did not expect this call');
  };
  const host = replaced.host ?? { current: () => null, retirement: () => null };
  const metrics = replaced.metrics ?? createApiMetrics(() => 0);
  const predictionLog = { keep: () => randomUUID(), flush: () => Promise.resolve() };
  return {
    host,
    predictor: createPredictor({
      ...{ host, predictionLog, inputCapture: noInputCapture, modelName: 'a_model' },
      listeners: [metrics],
    }),
    health: {
      report: () =>
        Promise.resolve({
          status: 'healthy',
          version: '0.0.0',
          timestamp: new Date(0).toISOString(),
          model_loaded: false,
          model_name: 'a_model',
          model_version: null,
          uptime_seconds: 1,
          dependencies: {},
        }),
      readiness: () => ({ status: 'ready' }),
    },
    metrics,
    starter: {
      reach: nothing,
      startIngestion: nothing,
      startTuning: nothing,
      startImport: nothing,
      startRetention: nothing,
      startBatch: nothing,
      startValidation: nothing,
      cancel: nothing,
    },
    promoter: { promote: nothing, answer: nothing },
    approvals: {
      latestIn: () => Promise.resolve(null),
      list: () => Promise.resolve({ items: [], nextPageToken: null }),
    },
    temporalUrl: createTemporalUrl('http://127.0.0.1:8233', 'default'),
    pipelines: {
      get: () => Promise.resolve(null),
      list: () => Promise.resolve({ items: [], nextPageToken: null }),
    },
    attempts: { waiting: () => Promise.resolve(null), list: () => Promise.resolve({ items: [], nextPageToken: null }) },
    experiments: {
      create: nothing,
      update: nothing,
      get: () => Promise.resolve(null),
      list: () => Promise.resolve({ items: [], nextPageToken: null }),
      searchRuns: () => Promise.resolve({ items: [], nextPageToken: null }),
    },
    runDetails: {
      detail: () => Promise.resolve(null),
      curves: nothing,
      metricNames: nothing,
      update: nothing,
      remove: nothing,
    },
    runs: { artifacts: () => Promise.resolve([]), get: nothing },
    storageMeter: { latest: nothing },
    policies: { get: () => Promise.resolve(modelPolicySchema.parse({})), set: nothing },
    predictionLog,
    inputs: { get: () => Promise.resolve(null) },
    labels: {
      candidates: () => Promise.resolve([]),
      decide: nothing,
      list: () => Promise.resolve({ items: [], nextPageToken: null }),
    },
    predictions: { get: () => Promise.resolve(null), list: () => Promise.resolve({ items: [], nextPageToken: null }) },
    lineage: { facts: nothing, examples: nothing, images: nothing, sampleImages: nothing },
    erasures: { begin: nothing, get: nothing, list: nothing, unfinished: nothing, pending: nothing, forget: nothing },
    deletion: { unpublish: nothing, remove: nothing },
    publisher: { publish: nothing, publishPending: nothing },
    feedback: { add: nothing, history: nothing, confusion: nothing },
    decisions: {
      list: () => Promise.resolve({ items: [], nextPageToken: null }),
      ofRequests: () => Promise.resolve([]),
    },
    retrainer: { check: nothing, order: nothing, checkKnown: nothing },
    schedules: {
      ensure: nothing,
      list: () => Promise.resolve([]),
      get: nothing,
      pause: nothing,
      resume: nothing,
      trigger: nothing,
      update: nothing,
      backfill: nothing,
    },
    audit: { add: () => Promise.resolve(), list: () => Promise.resolve({ items: [], nextPageToken: null }) },
    notifications: {
      list: () => Promise.resolve({ items: [], nextPageToken: null }),
      resend: nothing,
      test: nothing,
    },
    searches: {
      get: () => Promise.resolve(null),
      list: () => Promise.resolve({ items: [], nextPageToken: null }),
      trials: nothing,
    },
    registry: {
      list: () => Promise.resolve({ items: [], nextPageToken: null }),
      summaries: () => Promise.resolve({ items: [], nextPageToken: null }),
      summary: nothing,
      retire: nothing,
      get: nothing,
      servingState: nothing,
      liveReplicas: nothing,
      requirePromotable: nothing,
      rollBack: nothing,
      resolve: nothing,
      remeasurements: () => Promise.resolve(new Map()),
      resolveAny: nothing,
      report: nothing,
      ofRun: nothing,
      edit: nothing,
      setStage: nothing,
      aliases: nothing,
      setAlias: nothing,
      deleteAlias: nothing,
      productionMoves: nothing,
      productionAt: nothing,
      markDeleted: nothing,
      unfinishedDeletions: nothing,
      bundleRemoved: nothing,
    },
    sourcePresence: () => Promise.resolve('there'),
    sources: { get: nothing, list: nothing, conflicts: () => Promise.resolve([]) },
    datasetEdits: { correct: nothing, detach: nothing },
    datasetImages: { get: nothing },
    datasets: {
      list: () => Promise.resolve({ items: [], nextPageToken: null }),
      detail: () => Promise.resolve(null),
      versionDetail: nothing,
    },
    images: { find: () => Promise.resolve([]) },
    refusals: { files: nothing, conflicts: nothing, upload: () => Promise.resolve(null) },
    batchPredictions: {
      known: nothing,
      open: nothing,
      started: nothing,
      forget: nothing,
      get: nothing,
      list: () => Promise.resolve({ items: [], nextPageToken: null }),
    },
    uploads: { getUpload: nothing, createUpload: nothing, addUploadFile: nothing, markDiscarded: nothing },
    objects: {
      get: nothing,
      open: nothing,
      list: nothing,
      digest: nothing,
      putFile: nothing,
      delete: nothing,
      deleteMany: nothing,
      deletePrefix: nothing,
    },
    storage: roomyStorage,
    logger: createLogger('api', 'silent'),
    settings: {
      version: '0.0.0',
      modelName: 'a_model',
      datasetName: 'a_dataset',
      maxUploadBytes: 20_000_000,
      imageUrlHosts: [],
      publicUrl: null,
      basePath: '',
      allowedHosts: [],
      ownOrigins: [],
      uploadFolder: join(tmpdir(), 'perennial-test-uploads'),
      sourceFolders: {
        ...{ PERENNIAL_HOME: '/nonexistent', DATASET_DIR: undefined, ALLOWED_SOURCE_ROOT: [] },
        ...{ S3_BUCKET: 'perennial', INGEST_S3_BUCKET: undefined },
      },
    },
    ...replaced,
  };
}

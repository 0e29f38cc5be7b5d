import type { Logger } from '../platform/logging.js';
import type { ApprovalStore } from '../stores/promotion/approvals.js';
import type { AttemptStore } from '../stores/pipelines/attempts.js';
import type { AuditStore } from '../stores/audit/audit.js';
import type { BatchPredictionStore } from '../stores/batch-predictions/batch-predictions.js';
import type { DatasetDeletion } from '../stores/datasets/dataset-deletion.js';
import type { DatasetStore } from '../stores/datasets/datasets.js';
import type { DeletionStores } from '../stores/registry/delete-version.js';
import type { ExperimentStore } from '../stores/experiments/experiments.js';
import type { ErasureStore } from '../stores/erasure/erasures.js';
import type { FeedbackStore } from '../stores/predictions/feedback.js';
import type { ImageStore } from '../stores/datasets/images.js';
import type { LabelStore } from '../stores/predictions/labels.js';
import type { LineageStore } from '../stores/predictions/lineage.js';
import type { NotificationStore } from '../stores/notifications/notifications.js';
import type { ObjectStore } from '../stores/objects/object-store.js';
import type { PipelineStore } from '../stores/pipelines/pipelines.js';
import type { PolicyStore } from '../stores/promotion/policies.js';
import type { PredictionInputStore } from '../stores/predictions/prediction-inputs.js';
import type { PredictionStore } from '../stores/predictions/predictions.js';
import type { RegistryStore } from '../stores/registry/registry.js';
import type { AliasRecord } from '../stores/registry/aliases.js';
import type { VersionEdits } from '../stores/registry/edits.js';
import type { ProductionHistory } from '../stores/registry/history.js';
import type { RunDetailStore } from '../stores/experiments/run-details.js';
import type { RetrainingDecisions } from '../stores/retraining/retraining-decisions.js';
import type { RunStore } from '../stores/experiments/runs.js';
import type { SearchStore } from '../stores/experiments/searches.js';
import type { UploadStore } from '../stores/datasets/uploads.js';
import type { HealthReporter } from './health/health.js';
import type { ApiMetrics } from './metrics.js';
import type { ModelHost } from './model-host/model-host.js';
import type { PipelineStarter } from './workflows/pipeline-starter.js';
import type { PredictionLog } from './predictions/log/prediction-log.js';
import type { Predictor } from './inference/predictor.js';
import type { Promoter } from './promotion/promotion-client.js';
import type { Retrainer } from './retraining/retraining-requests.js';
import type { Schedules } from './retraining/schedules/schedules.js';
import type { TemporalUrl } from './pipelines/pipeline-view.js';

type RegistryUses =
  | 'list'
  | 'get'
  | 'resolve'
  | 'ofRun'
  | 'servingState'
  | 'liveReplicas'
  | 'requirePromotable'
  | 'rollBack'
  | 'summaries'
  | keyof VersionEdits
  | keyof AliasRecord
  | keyof ProductionHistory
  | keyof DeletionStores['registry'];

/** What the routes are built on. Tests hand in what they like. */
export interface ApiDependencies {
  host: Pick<ModelHost, 'current'>;
  health: Pick<HealthReporter, 'report' | 'readiness'>;
  metrics: ApiMetrics;
  starter: PipelineStarter;
  temporalUrl: TemporalUrl;
  pipelines: Pick<PipelineStore, 'get' | 'list'>;
  attempts: Pick<AttemptStore, 'list'>;
  experiments: ExperimentStore;
  runDetails: RunDetailStore;
  runs: Pick<RunStore, 'artifacts' | 'get'>;
  searches: Pick<SearchStore, 'get' | 'list' | 'trials'>;
  registry: Pick<RegistryStore, RegistryUses>;
  policies: PolicyStore;
  decisions: Pick<RetrainingDecisions, 'list' | 'ofRequests'>;
  retrainer: Retrainer;
  schedules: Schedules;
  approvals: Pick<ApprovalStore, 'list' | 'latestIn'>;
  promoter: Promoter;
  predictor: Predictor;
  predictionLog: Pick<PredictionLog, 'keep' | 'flush'>;
  predictions: Pick<PredictionStore, 'get' | 'list'>;
  inputs: Pick<PredictionInputStore, 'get'>;
  labels: Pick<LabelStore, 'candidates' | 'decide' | 'list'>;
  feedback: FeedbackStore;
  lineage: LineageStore;
  erasures: ErasureStore;
  deletion: DatasetDeletion;
  audit: AuditStore;
  notifications: NotificationStore;
  datasets: Pick<DatasetStore, 'list' | 'detail' | 'versionDetail'>;
  images: ImageStore;
  batchPredictions: BatchPredictionStore;
  uploads: Pick<UploadStore, 'getUpload' | 'createUpload' | 'addUploadFile' | 'markDiscarded'>;
  objects: Pick<ObjectStore, 'get' | 'open' | 'list' | 'sum' | 'putFile' | 'delete'>;
  logger: Logger;
  settings: ApiSettings;
}

export interface ApiSettings {
  version: string;
  modelName: string;
  datasetName: string;
  maxUploadBytes: number;
  /** Hosts that pictures named by URL are fetched from. */
  imageUrlHosts: readonly string[];
  /** Where people reach the API, for links; null when nobody said. */
  publicUrl: string | null;
  /** Folder for uploads on their way to the object store. */
  uploadFolder: string;
  /** Folder that sources named over HTTP must lie in; null when any may be read. */
  sourceRoot: string | null;
}

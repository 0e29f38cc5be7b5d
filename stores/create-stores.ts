import { createApprovalStore, type ApprovalStore } from './promotion/approvals.js';
import { createAttemptStore, type AttemptStore } from './pipelines/attempts.js';
import { createAuditStore, type AuditStore } from './audit/audit.js';
import { createBatchPredictionStore, type BatchPredictionStore } from './batch-predictions/batch-predictions.js';
import { createDatasetStore, type DatasetStore } from './datasets/datasets.js';
import { createExperimentStore, type ExperimentStore } from './experiments/experiments.js';
import { createImageStore, type ImageStore } from './datasets/images.js';
import { createNotificationStore, type NotificationStore } from './notifications/notifications.js';
import { createPipelineStore, type PipelineStore } from './pipelines/pipelines.js';
import { createPolicyStore, type PolicyStore } from './promotion/policies.js';
import { createRegistryStore, type RegistryStore } from './registry/registry.js';
import { createRunDetailStore, type RunDetailStore } from './experiments/run-details.js';
import { createRunStore, type RunStore } from './experiments/runs.js';
import { createSearchStore, type SearchStore } from './experiments/searches.js';
import { createUploadStore, type UploadStore } from './datasets/uploads.js';
import type { Database } from './postgres/database.js';

/** The stores of the API that need nothing but the database. */
export interface Stores {
  pipelines: PipelineStore;
  attempts: AttemptStore;
  experiments: ExperimentStore;
  runDetails: RunDetailStore;
  runs: RunStore;
  searches: SearchStore;
  registry: RegistryStore;
  policies: PolicyStore;
  approvals: ApprovalStore;
  audit: AuditStore;
  notifications: NotificationStore;
  batchPredictions: BatchPredictionStore;
  datasets: DatasetStore;
  images: ImageStore;
  uploads: UploadStore;
}

export function createStores(database: Database): Stores {
  return {
    pipelines: createPipelineStore(database),
    attempts: createAttemptStore(database),
    experiments: createExperimentStore(database),
    runDetails: createRunDetailStore(database),
    runs: createRunStore(database),
    searches: createSearchStore(database),
    registry: createRegistryStore(database),
    policies: createPolicyStore(database),
    approvals: createApprovalStore(database),
    audit: createAuditStore(database),
    notifications: createNotificationStore(database),
    batchPredictions: createBatchPredictionStore(database),
    datasets: createDatasetStore(database),
    images: createImageStore(database),
    uploads: createUploadStore(database),
  };
}

import { createApprovalStore, type ApprovalStore } from '../stores/approvals.js';
import { createAttemptStore, type AttemptStore } from '../stores/attempts.js';
import { createAuditStore, type AuditStore } from '../stores/audit.js';
import { createBatchPredictionStore, type BatchPredictionStore } from '../stores/batch-predictions.js';
import { createDatasetStore, type DatasetStore } from '../stores/datasets.js';
import { createExperimentStore, type ExperimentStore } from '../stores/experiments.js';
import { createImageStore, type ImageStore } from '../stores/images.js';
import { createNotificationStore, type NotificationStore } from '../stores/notifications.js';
import { createPipelineStore, type PipelineStore } from '../stores/pipelines.js';
import { createPolicyStore, type PolicyStore } from '../stores/policies.js';
import { createRegistryStore, type RegistryStore } from '../stores/registry.js';
import { createRunDetailStore, type RunDetailStore } from '../stores/run-details.js';
import { createRunStore, type RunStore } from '../stores/runs.js';
import { createSearchStore, type SearchStore } from '../stores/searches.js';
import { createUploadStore, type UploadStore } from '../stores/uploads.js';
import type { Database } from '../stores/database.js';

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

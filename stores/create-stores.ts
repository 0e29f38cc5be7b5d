import { createAuditStore } from './audit/audit.js';
import { createBatchPredictionStore } from './batch-predictions/batch-predictions.js';
import { createDatasetCommits } from './datasets/dataset-commits.js';
import { createDatasetDeletion } from './datasets/dataset-deletion.js';
import { createDatasetEdits } from './datasets/dataset-edits.js';
import { createDatasetImageStore } from './datasets/dataset-images.js';
import { createDatasetStore } from './datasets/datasets.js';
import { createImageStore } from './datasets/images.js';
import { createPixelIdentityStore } from './datasets/pixel-identities.js';
import { createIngestionStore } from './datasets/ingestions.js';
import { createPublicationStore } from './datasets/publications.js';
import { createSourceStore } from './datasets/sources.js';
import { createRefusalStore } from './datasets/refusals.js';
import { createUploadStore } from './datasets/uploads.js';
import { createErasureStore } from './erasure/erasures.js';
import { createExperimentStore } from './experiments/experiments.js';
import { createRunDetailStore } from './experiments/run-details.js';
import { createRunStore } from './experiments/runs.js';
import { createSearchStore } from './experiments/searches.js';
import { createTrialStore } from './experiments/trials.js';
import { createFeatureStore } from './features/features.js';
import { createDeliveryStore } from './notifications/deliveries.js';
import { createNotificationStore } from './notifications/notifications.js';
import { createOutboxStore } from './notifications/outbox.js';
import { createAttemptStore } from './pipelines/attempts.js';
import { createPipelineStore } from './pipelines/pipelines.js';
import { createRetentionStore } from './pipelines/retention.js';
import { createAdvisoryLocks } from './postgres/advisory-lock.js';
import type { Database } from './postgres/database.js';
import { createFeedbackStore, type AccuracyRule } from './predictions/feedback.js';
import { createLabelStore } from './predictions/labels.js';
import { createLineageStore } from './predictions/lineage.js';
import { createPredictionInputStore } from './predictions/prediction-inputs.js';
import { createPredictionStore } from './predictions/predictions.js';
import { createApprovalStore } from './promotion/approvals.js';
import { createPolicyStore } from './promotion/policies.js';
import { createRegistryStore } from './registry/registry.js';
import { createRetrainingDecisions } from './retraining/retraining-decisions.js';
import { createRetrainingInputStore } from './retraining/retraining-inputs.js';
import { createDatabaseSizes } from './storage/database-sizes.js';
import { createObjectReferences } from './storage/object-references.js';

export type Stores = ReturnType<typeof storesOf>;

/**
 * Creates every store, once per process: the advisory locks queue within one instance. `accuracyOf` is injected because
 * rules live in the domain.
 */
export function createStores(database: Database, accuracyOf: AccuracyRule): Stores {
  return storesOf(database, accuracyOf);
}

// Its type is inferred, so that a new store is one line here.
function storesOf(database: Database, accuracyOf: AccuracyRule) {
  const policies = createPolicyStore(database);
  const feedback = createFeedbackStore(database, accuracyOf);
  return {
    approvals: createApprovalStore(database),
    attempts: createAttemptStore(database),
    audit: createAuditStore(database),
    batchPredictions: createBatchPredictionStore(database),
    commits: createDatasetCommits(database),
    databaseSizes: createDatabaseSizes(database),
    datasetEdits: createDatasetEdits(database),
    datasetImages: createDatasetImageStore(database),
    datasets: createDatasetStore(database),
    decisions: createRetrainingDecisions(database),
    deletion: createDatasetDeletion(database),
    deliveries: createDeliveryStore(database),
    erasures: createErasureStore(database),
    experiments: createExperimentStore(database),
    facts: createRetrainingInputStore(database, { policies, feedback }),
    features: createFeatureStore(database),
    feedback,
    images: createImageStore(database),
    ingestions: createIngestionStore(database),
    inputs: createPredictionInputStore(database),
    labels: createLabelStore(database),
    lineage: createLineageStore(database),
    locks: createAdvisoryLocks(database),
    notifications: createNotificationStore(database),
    outbox: createOutboxStore(database),
    pipelines: createPipelineStore(database),
    pixels: createPixelIdentityStore(database),
    policies,
    predictions: createPredictionStore(database),
    refusals: createRefusalStore(database),
    registry: createRegistryStore(database),
    retention: createRetentionStore(database),
    publications: createPublicationStore(database),
    references: createObjectReferences(database),
    runDetails: createRunDetailStore(database),
    runs: createRunStore(database),
    searches: createSearchStore(database),
    sources: createSourceStore(database),
    trials: createTrialStore(database),
    uploads: createUploadStore(database),
  };
}

import { createApprovalStore } from '../stores/approvals.js';
import { createAuditStore } from '../stores/audit.js';
import { createDatasetStore } from '../stores/datasets.js';
import { createExperimentStore } from '../stores/experiments.js';
import { createNotificationStore } from '../stores/notifications.js';
import { createPipelineStore } from '../stores/pipelines.js';
import { createPolicyStore } from '../stores/policies.js';
import { createRegistryStore } from '../stores/registry.js';
import { createRunDetailStore } from '../stores/run-details.js';
import { createRunStore } from '../stores/runs.js';
import { createSearchStore } from '../stores/searches.js';
import { createUploadStore } from '../stores/uploads.js';
import type { Database } from '../stores/database.js';

/** The stores of the API that need nothing but the database. */
export function createStores(database: Database) {
  return {
    pipelines: createPipelineStore(database),
    experiments: createExperimentStore(database),
    runDetails: createRunDetailStore(database),
    runs: createRunStore(database),
    searches: createSearchStore(database),
    registry: createRegistryStore(database),
    policies: createPolicyStore(database),
    approvals: createApprovalStore(database),
    audit: createAuditStore(database),
    notifications: createNotificationStore(database),
    datasets: createDatasetStore(database),
    uploads: createUploadStore(database),
  };
}

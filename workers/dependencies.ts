import { NativeConnection } from '@temporalio/worker';
import { PerennialError, messageOf } from '../contracts/errors.js';
import { wilsonInterval } from '../domain/wilson-interval.js';
import type { Config } from '../platform/config.js';
import type { Logger } from '../platform/logging.js';
import { waitUntilAvailable } from '../platform/wait-until-available.js';
import { createApprovalStore, type ApprovalStore } from '../stores/promotion/approvals.js';
import { createAttemptStore, type AttemptStore } from '../stores/pipelines/attempts.js';
import { createAuditStore, type AuditStore } from '../stores/audit/audit.js';
import {
  createBatchPredictionStore,
  type BatchPredictionStore,
} from '../stores/batch-predictions/batch-predictions.js';
import { createDatabase, type Database } from '../stores/postgres/database.js';
import { createDatasetStore, type DatasetStore } from '../stores/datasets/datasets.js';
import { createDatasetCommits, type DatasetCommits } from '../stores/datasets/dataset-commits.js';
import { createFeatureStore, type FeatureStore } from '../stores/features/features.js';
import { createIngestionStore, type IngestionStore } from '../stores/datasets/ingestions.js';
import { createFeedbackStore } from '../stores/predictions/feedback.js';
import { createLabelStore, type LabelStore } from '../stores/predictions/labels.js';
import { migrate } from '../stores/postgres/migrate.js';
import { createObjectStore, type ObjectStore } from '../stores/objects/object-store.js';
import { createOutboxStore, type OutboxStore } from '../stores/notifications/outbox.js';
import { createPipelineStore, type PipelineStore } from '../stores/pipelines/pipelines.js';
import { createPolicyStore, type PolicyStore } from '../stores/promotion/policies.js';
import { createPredictionInputStore, type PredictionInputStore } from '../stores/predictions/prediction-inputs.js';
import { createPredictionStore, type PredictionStore } from '../stores/predictions/predictions.js';
import { createRegistryStore, type RegistryStore } from '../stores/registry/registry.js';
import { createRetentionStore, type RetentionStore } from '../stores/pipelines/retention.js';
import { createRetrainingDecisions, type RetrainingDecisions } from '../stores/retraining/retraining-decisions.js';
import { createRetrainingInputStore, type RetrainingInputStore } from '../stores/retraining/retraining-inputs.js';
import { createRunStore, type RunStore } from '../stores/experiments/runs.js';
import { createSearchStore, type SearchStore } from '../stores/experiments/searches.js';
import { createTrialStore, type TrialStore } from '../stores/experiments/trials.js';
import { createUploadStore, type UploadStore } from '../stores/datasets/uploads.js';
import { registerSearchAttributes } from './search-attributes.js';
import { createTemporalClient, type TemporalClient } from './temporal-client.js';

/** Connections and stores that both workers use. */
export interface WorkerDependencies {
  database: Database;
  objects: ObjectStore;
  temporal: NativeConnection;
  temporalClient: TemporalClient;
  approvals: ApprovalStore;
  attempts: AttemptStore;
  audit: AuditStore;
  batchPredictions: BatchPredictionStore;
  commits: DatasetCommits;
  datasets: DatasetStore;
  decisions: RetrainingDecisions;
  facts: RetrainingInputStore;
  features: FeatureStore;
  ingestions: IngestionStore;
  inputs: PredictionInputStore;
  labels: LabelStore;
  outbox: OutboxStore;
  pipelines: PipelineStore;
  policies: PolicyStore;
  predictions: PredictionStore;
  registry: RegistryStore;
  retention: RetentionStore;
  runs: RunStore;
  searches: SearchStore;
  trials: TrialStore;
  uploads: UploadStore;
  close(): Promise<void>;
}

/** Connects to Postgres, the object store and Temporal, waiting until each is available, and migrates the schema. */
export async function connect(config: Config, logger: Logger): Promise<WorkerDependencies> {
  const { DATABASE_URL, S3_ENDPOINT, TEMPORAL_ADDRESS } = required(config);
  const database = createDatabase({ url: DATABASE_URL, poolSize: config.DATABASE_POOL_SIZE, logger });
  await retryUntilAvailable('migrate the schema', () => migrate(database), logger);
  const objects = createObjectStore({ ...config, S3_ENDPOINT });
  await retryUntilAvailable('find the bucket', () => objects.ensureBucket(), logger);
  const temporal = await retryUntilAvailable(
    'connect to Temporal',
    () => connectTemporal(config, TEMPORAL_ADDRESS),
    logger,
  );
  await registerSearchAttributes(temporal, config.TEMPORAL_NAMESPACE, logger);
  return {
    database,
    objects,
    temporal,
    temporalClient: createTemporalClient(temporal, config.TEMPORAL_NAMESPACE, TEMPORAL_ADDRESS),
    approvals: createApprovalStore(database),
    attempts: createAttemptStore(database),
    audit: createAuditStore(database),
    batchPredictions: createBatchPredictionStore(database),
    commits: createDatasetCommits(database),
    datasets: createDatasetStore(database),
    decisions: createRetrainingDecisions(database),
    facts: createRetrainingInputStore(database, {
      policies: createPolicyStore(database),
      feedback: createFeedbackStore(database, wilsonInterval),
    }),
    features: createFeatureStore(database),
    ingestions: createIngestionStore(database),
    inputs: createPredictionInputStore(database),
    labels: createLabelStore(database),
    outbox: createOutboxStore(database),
    pipelines: createPipelineStore(database),
    policies: createPolicyStore(database),
    predictions: createPredictionStore(database),
    registry: createRegistryStore(database),
    retention: createRetentionStore(database),
    runs: createRunStore(database),
    searches: createSearchStore(database),
    trials: createTrialStore(database),
    uploads: createUploadStore(database),
    async close() {
      await temporal.close();
      objects.close();
      await database.close();
    },
  };
}

/** Cannot be aborted: nothing has started yet that would need an orderly shutdown. */
function retryUntilAvailable<T>(what: string, work: () => Promise<T>, logger: Logger): Promise<T> {
  return new Promise((resolve, reject) => {
    waitUntilAvailable(what, async () => resolve(await work()), logger, new AbortController().signal).catch(reject);
  });
}

async function connectTemporal(config: Config, address: string): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect({
      address,
      tls: config.TEMPORAL_TLS,
      ...(config.TEMPORAL_API_KEY !== undefined && { apiKey: config.TEMPORAL_API_KEY }),
    });
  } catch (error) {
    throw new PerennialError(
      'temporal_unavailable',
      `Temporal at ${address} cannot be reached (${messageOf(error)}). Start it or set TEMPORAL_ADDRESS.`,
      { cause: error },
    );
  }
}

function required(config: Config): { DATABASE_URL: string; S3_ENDPOINT: string; TEMPORAL_ADDRESS: string } {
  const { DATABASE_URL, S3_ENDPOINT, TEMPORAL_ADDRESS } = config;
  if (DATABASE_URL === undefined || S3_ENDPOINT === undefined || TEMPORAL_ADDRESS === undefined) {
    throw new PerennialError(
      'configuration_invalid',
      'A worker needs DATABASE_URL, S3_ENDPOINT and TEMPORAL_ADDRESS; `npm start` sets them for the local stack.',
    );
  }
  return { DATABASE_URL, S3_ENDPOINT, TEMPORAL_ADDRESS };
}

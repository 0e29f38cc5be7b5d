import { randomUUID } from 'node:crypto';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createRecordActivities } from '../../activities/runtime/records.js';
import { createRequestActivities } from '../../activities/retraining/request-activities.js';
import { createRetrainingActivities } from '../../activities/retraining/activities.js';
import { taskQueues } from '../../contracts/names.js';
import { createLogger } from '../../platform/logging.js';
import { createRunStarter } from '../../platform/temporal/run-starter.js';
import { bundlePath } from '../../workflows/bundle/path.js';
import { createTemporalClient } from '../../workers/temporal-client.js';
import { createFakeActivities, type AllActivities } from './fake-activities.js';
import { statistics } from './measurements.js';
import { startApi, type ServedApi } from './served-api.js';
import { startPostgres, startTemporal, type TestService } from './services.js';
import { stepWriter } from './step-writer.js';

/** The API on a real Postgres and Temporal, with workers whose activities decide and record, but only pretend to train. */
export interface AutomationFixture {
  served: ServedApi;
  postgres: TestService;
  temporal: TestService;
  /** Runs `work` while workers poll both queues. */
  withWorkers<T>(work: () => Promise<T>, replaced?: Partial<AllActivities>): Promise<T>;
  /** Adds a dataset with one version: its statistics count 100 images, its rows `images`. */
  addDataset(name: string, images: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startAutomationFixture(environment: Record<string, string> = {}): Promise<AutomationFixture> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const [postgres, temporal] = await Promise.all([startPostgres(), startTemporal()]);
  const served = await startApi({ ...postgres.environment, ...temporal.environment, ...environment });
  const connection = await NativeConnection.connect({ address: temporal.address });
  return {
    served,
    postgres,
    temporal,
    async withWorkers(work, replaced = {}) {
      const { activities } = createFakeActivities({
        ...realActivities(served, connection, temporal.address),
        ...replaced,
      });
      const shared = { connection, activities, interceptors: { activity: [stepWriter(activities)] } };
      const workflowBundle = { codePath: bundlePath };
      const pipeline = await Worker.create({ ...shared, taskQueue: taskQueues.pipeline, workflowBundle });
      const training = await Worker.create({ ...shared, taskQueue: taskQueues.training });
      return pipeline.runUntil(() => training.runUntil(work));
    },
    addDataset: (name, images) => addDataset(served, name, images),
    async stop() {
      await served.stop();
      await connection.close();
      await Promise.all([postgres.stop(), temporal.stop()]);
    },
  };
}

function realActivities(
  { api, config }: ServedApi,
  connection: NativeConnection,
  address: string,
): Partial<AllActivities> {
  const { stores } = api;
  const logger = createLogger('test', 'silent');
  const temporalClient = createTemporalClient(connection, config.TEMPORAL_NAMESPACE, address);
  const { checkModelPerformance, checkNewData } = createRetrainingActivities(stores);
  return {
    checkModelPerformance,
    checkNewData,
    ...createRecordActivities(stores),
    ...createRequestActivities({
      ...stores,
      starter: createRunStarter({ temporal: temporalClient, pipelines: stores.pipelines, logger }),
      temporalClient,
      datasetName: config.DATASET_NAME,
    }),
  };
}

async function addDataset({ api: { database } }: ServedApi, name: string, images: number): Promise<void> {
  const ingestion = randomUUID();
  await database.query('INSERT INTO datasets (name, current_version) VALUES ($1, 1)', [name]);
  await database.query(
    `INSERT INTO ingestions (id, dataset, kind, locator, is_default, status) VALUES ($1, $2, 'folder', '/f', false, 'committed')`,
    [ingestion, name],
  );
  await database.query(
    `INSERT INTO dataset_versions (dataset, version, digest, dvc_md5, statistics, sources, ingestion_id)
     VALUES ($1, 1, 'd', 'm', $2, '[]', $3)`,
    [name, JSON.stringify(statistics), ingestion],
  );
  await database.query(
    `INSERT INTO images (sha256, md5, size_bytes, format, width, height, object_key)
     SELECT lpad(n::text, 64, '0'), lpad(n::text, 32, '0'), 1, 'png', 1, 1, 'k' FROM generate_series(1, $1) n
     ON CONFLICT DO NOTHING`,
    [images],
  );
  await database.query(
    `INSERT INTO dataset_examples (dataset, version, sha256, label, side)
     SELECT $1, 1, lpad(n::text, 64, '0'), 'grass', 'train' FROM generate_series(1, $2) n`,
    [name, images],
  );
}

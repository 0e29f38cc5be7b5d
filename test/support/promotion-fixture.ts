import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createApprovalActivities } from '../../activities/promotion/approval-activities.js';
import { createAttemptRecorder } from '../../activities/runtime/attempt-recorder.js';
import { createGuardActivities } from '../../activities/promotion/guard-activities.js';
import { createPromotionActivities } from '../../activities/promotion/activities.js';
import { createRecordActivities } from '../../activities/runtime/records.js';
import { createActivityInterceptor } from '../../activities/runtime/interceptor.js';
import { taskQueues } from '../../contracts/names.js';
import type { Decision, ModelVersion } from '../../contracts/registry/registry.js';
import { createLogger } from '../../platform/logging.js';
import type { Stores } from '../../stores/create-stores.js';
import { createAttemptStore } from '../../stores/pipelines/attempts.js';
import type { Database } from '../../stores/postgres/database.js';
import { bundlePath } from '../../workflows/bundle/path.js';
import { createFakeActivities, type AllActivities } from './fake-activities.js';
import { decisionOf } from './measurements.js';
import { redImage, startApi, type ServedApi } from './served-api.js';
import { startObjectStore, startPostgres, startTemporal, type TestService } from './services.js';

/** The API, real services, and a worker in this process with the real activities of promotions. */
export interface PromotionFixture {
  served: ServedApi;
  stores: Stores;
  postgres: TestService;
  /** Addresses of the services, for another API or a worker in another process. */
  environment: Record<string, string>;
  /** Registers a tiny model with a recorded validation decision. */
  candidate(options?: { bias?: number; decision?: Partial<Decision> | null }): Promise<ModelVersion>;
  /** Starts the worker; only one runs at a time. */
  startWorker(): Promise<void>;
  stopWorker(): Promise<void>;
  stop(): Promise<void>;
}

/** `wrap` may add faults before and after the real activities. */
export async function startPromotionFixture(
  wrap: (activities: AllActivities) => AllActivities = (activities) => activities,
): Promise<PromotionFixture> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const [postgres, objectStore, temporal] = await Promise.all([startPostgres(), startObjectStore(), startTemporal()]);
  const environment = { ...postgres.environment, ...objectStore.environment, ...temporal.environment };
  const served = await startApi(environment);
  const { stores } = served.api;
  const connection = await NativeConnection.connect({ address: temporal.address });
  const activities = wrap(await promotionActivities(stores));
  let running: { worker: Worker; ended: Promise<void> } | null = null;
  const stopWorker = async (): Promise<void> => {
    running?.worker.shutdown();
    await running?.ended;
    running = null;
  };
  return {
    served,
    stores,
    postgres,
    environment,
    stopWorker,
    async candidate({ bias = 0, decision = {} } = {}) {
      const version = await served.registerTiny({ bias });
      if (decision === null) return version;
      const recorded = { ...decisionOf('promote'), ...decision };
      await stores.registry.recordDecision(version.modelName, version.version, recorded);
      return version;
    },
    async startWorker() {
      const worker = await createPromotionWorker(connection, served.api.database, activities);
      running = { worker, ended: worker.run() };
    },
    async stop() {
      await stopWorker();
      await served.stop();
      await connection.close();
      await Promise.all([postgres.stop(), objectStore.stop(), temporal.stop()]);
    },
  };
}

/** A worker of the pipeline queue, wired as the product's workers are. */
export function createPromotionWorker(
  connection: NativeConnection,
  database: Database,
  activities: AllActivities,
): Promise<Worker> {
  const logger = createLogger('test', 'silent');
  const attempts = createAttemptRecorder(createAttemptStore(database), logger);
  return Worker.create({
    connection,
    taskQueue: taskQueues.pipeline,
    workflowBundle: { codePath: bundlePath },
    activities,
    shutdownGraceTime: '1 s',
    interceptors: {
      activity: [
        (context) => ({
          inbound: createActivityInterceptor(context, logger, { attempts, steps: activities, worker: 'test' }),
        }),
      ],
    },
  });
}

/** Everything but the test image is real: the tiny models have no dataset. */
export async function promotionActivities(stores: Stores): Promise<AllActivities> {
  const image = await redImage();
  const facts = {
    sha256: 'a'.repeat(64),
    md5: 'b'.repeat(32),
    sizeBytes: 1,
    format: 'png',
    width: 1,
    height: 1,
  } as const;
  const deps = {
    ...stores,
    datasets: {
      examples: () => Promise.resolve([{ sha256: facts.sha256, label: 'dandelion', side: 'test' } as const]),
      imageFacts: () => Promise.resolve([facts]),
    },
    objects: { get: () => Promise.resolve(image) },
  };
  return {
    ...createFakeActivities().activities,
    ...createRecordActivities(deps),
    ...createApprovalActivities(deps),
    ...createGuardActivities(deps),
    ...createPromotionActivities(deps),
  };
}

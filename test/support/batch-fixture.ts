import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger, NativeConnection, Runtime, type Worker } from '@temporalio/worker';
import type { z } from 'zod';
import { createBatchPredictionActivities } from '../../activities/batch-prediction/activities.js';
import {
  createBackgroundEngines,
  type BackgroundEngines,
} from '../../activities/batch-prediction/background-engines.js';
import { openBackground } from '../../activities/batch-prediction/open-background.js';
import { createRecordActivities } from '../../activities/runtime/records.js';
import { accuracyOf } from '../../domain/predictions/accuracy.js';
import { createStores } from '../../stores/create-stores.js';
import { batchPredictionViewSchema } from '../../contracts/batch-predictions/http-batch-predictions.js';
import { minimumSide } from '../../model/images/inspect.js';
import { createLogger } from '../../platform/logging.js';
import type { Database } from '../../stores/postgres/database.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import { poll } from './api-client.js';
import { createFakeActivities, type AllActivities } from './fake-activities.js';
import { createPromotionWorker } from './promotion-fixture.js';
import { startApi, type ServedApi } from './served-api.js';
import { startObjectStore, startPostgres, startTemporal, type TestService } from './services.js';

export type BatchView = z.output<typeof batchPredictionViewSchema>;

/** The API with real services, and workers in this process with the real activities of batch predictions. */
export interface BatchFixture {
  served: ServedApi;
  temporal: TestService;
  environment: Record<string, string>;
  engines: BackgroundEngines;
  /** Starts the worker, one at a time; `wrap` may add faults to its activities. */
  startWorker(wrap?: (activities: AllActivities) => AllActivities): Promise<void>;
  stopWorker(): Promise<void>;
  /** Sends a request for a job and returns the response. */
  start(body: object, key?: string): Promise<{ status: number; body: unknown; location: string | null }>;
  /** Like `start`, for a job that is accepted. */
  started(body: object): Promise<BatchView>;
  job(id: string): Promise<BatchView>;
  /** Waits until a job satisfies the predicate. */
  reached(id: string, looks: (job: BatchView) => boolean): Promise<BatchView>;
  /** Waits until the job has ended, with any status. */
  ended(id: string): Promise<BatchView>;
  stop(): Promise<void>;
}

export async function startBatchFixture(): Promise<BatchFixture> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const [postgres, objectStore, temporal] = await Promise.all([startPostgres(), startObjectStore(), startTemporal()]);
  const environment = { ...postgres.environment, ...objectStore.environment, ...temporal.environment };
  const served = await startApi(environment);
  const connection = await NativeConnection.connect({ address: temporal.address });
  const folder = await mkdtemp(join(tmpdir(), 'perennial-test-batch-'));
  const { database, objects } = served.api;
  const { activities, engines } = batchActivities(database, objects, folder);
  let running: { worker: Worker; ended: Promise<void> } | null = null;
  const stopWorker = async (): Promise<void> => {
    running?.worker.shutdown();
    await running?.ended;
    running = null;
  };
  const client = clientOf(served.url);
  return {
    served,
    temporal,
    environment,
    engines,
    stopWorker,
    ...client,
    async startWorker(wrap = (same) => same) {
      const worker = await createPromotionWorker(connection, database, wrap(activities));
      running = { worker, ended: worker.run() };
    },
    async stop() {
      await stopWorker();
      await engines.stop();
      await served.stop();
      await connection.close();
      await Promise.all([postgres.stop(), objectStore.stop(), temporal.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The real activities of batch predictions, and fakes for other workflows. */
export function batchActivities(
  database: Database,
  objects: ObjectStore,
  folder: string,
): { activities: AllActivities; engines: BackgroundEngines } {
  const logger = createLogger('test', 'silent');
  const imageLimits = { maxPixels: 50_000_000, maxBytes: 1_000_000, minSide: minimumSide };
  const opening = { objects, bundleFolder: join(folder, 'bundles'), imageLimits, variant: 'int8', logger } as const;
  const engines = createBackgroundEngines({ open: (version) => openBackground(opening, version), logger });
  const stores = createStores(database, accuracyOf);
  const activities = {
    ...createFakeActivities().activities,
    ...createRecordActivities(stores),
    ...createBatchPredictionActivities({
      ...stores,
      objects,
      engines,
      maxImageBytes: imageLimits.maxBytes,
      scratchFolder: join(folder, 'scratch'),
    }),
  };
  return { activities, engines };
}

function clientOf(url: string): Pick<BatchFixture, 'start' | 'started' | 'job' | 'reached' | 'ended'> {
  const path = '/api/v1/batch-predictions';
  const start: BatchFixture['start'] = async (body, key = randomUUID()) => {
    const response = await fetch(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json(), location: response.headers.get('location') };
  };
  const job = async (id: string): Promise<BatchView> =>
    batchPredictionViewSchema.parse(await (await fetch(`${url}${path}/${id}`)).json());
  const reached: BatchFixture['reached'] = (id, looks) => poll(() => job(id), looks, 60_000);
  return {
    start,
    job,
    reached,
    started: async (body) => batchPredictionViewSchema.parse((await start(body)).body),
    ended: (id) => reached(id, ({ status }) => status !== 'waiting' && status !== 'running'),
  };
}

import { join } from 'node:path';
import { NativeConnection, Worker } from '@temporalio/worker';
import sharp from 'sharp';
import { createCheckActivities, createImportActivities } from '../../activities/import/activities.js';
import { createAttemptRecorder } from '../../activities/runtime/attempt-recorder.js';
import { createActivityInterceptor } from '../../activities/runtime/interceptor.js';
import { createRecordActivities } from '../../activities/runtime/records.js';
import type { Stores } from '../../stores/create-stores.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { taskQueues } from '../../contracts/names.js';
import { createLogger } from '../../platform/logging.js';
import { createAttemptStore } from '../../stores/pipelines/attempts.js';
import { bundlePath } from '../../workflows/bundle/path.js';
import { createApiClient, type Pipeline } from './api-client.js';
import { createFakeActivities, type AllActivities } from './fake-activities.js';
import { startIngestionFixture, type IngestionFixture } from './ingestion-fixture.js';
import { startApi, type ServedApi } from './served-api.js';
import { startTemporal } from './services.js';

/** The API, real services with a dataset of red and green images, and workers with the real activities of imports. */
export interface ImportFixture {
  served: ServedApi;
  stores: Stores;
  ingestion: IngestionFixture;
  upload(fields: Record<string, string>, files: Record<string, Uint8Array>): Promise<Response>;
  /** Uploads a model as the actor `ada`, expects it to be accepted, and waits until its import has ended. */
  imported(fields: Record<string, string>, files: Record<string, Uint8Array>): Promise<Pipeline>;
  /** Keys of uploads that remain in the object store. */
  leftovers(): Promise<string[]>;
  stop(): Promise<void>;
}

export async function startImportFixture(scratchFolder: string): Promise<ImportFixture> {
  const [ingestion, temporal] = await Promise.all([startIngestionFixture(), startTemporal()]);
  const { database, objectServer } = ingestion;
  await ingestion.ingest({ kind: 'folder', path: ingestion.folder(await redAndGreenImages()) });
  const served = await startApi({
    ...database.postgres.environment,
    ...objectServer.environment,
    ...temporal.environment,
    DATASET_NAME: 'flowers',
  });
  const { stores } = served.api;
  const connection = await NativeConnection.connect({ address: temporal.address });
  const workers = await startWorkers(connection, served, realActivities(served, stores, scratchFolder));
  return {
    served,
    stores,
    ingestion,
    upload: (fields, files) => upload(served.url, fields, files),
    async imported(fields, files) {
      const response = await upload(served.url, fields, files);
      expect(response.status).toBe(202);
      const { run_id, status_url } = acceptedSchema.parse(await response.json());
      expect(response.headers.get('location')).toBe(status_url);
      return createApiClient(served.url).ended(run_id, 100_000);
    },
    async leftovers() {
      const keys: string[] = [];
      for await (const { key } of served.api.objects.list('uploads/')) keys.push(key);
      return keys;
    },
    async stop() {
      await workers.stop();
      await served.stop();
      await connection.close();
      await Promise.all([ingestion.stop(), temporal.stop()]);
    },
  };
}

function upload(url: string, fields: Record<string, string>, files: Record<string, Uint8Array>): Promise<Response> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (const [name, bytes] of Object.entries(files)) form.append('files', new Blob([new Uint8Array(bytes)]), name);
  return fetch(`${url}/api/v1/mlops/models/register`, { method: 'POST', body: form, headers: { 'X-Actor': 'ada' } });
}

/** Twelve images each of two classes that the tiny model can distinguish. */
async function redAndGreenImages(): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  for (let shade = 0; shade < 12; shade++) {
    const strong = 140 + 8 * shade;
    for (const [label, background] of [
      ['green', { r: 20, g: strong, b: 20 }],
      ['red', { r: strong, g: 20, b: 20 }],
    ] as const) {
      files[`${label}/${shade}.png`] = await sharp({ create: { width: 32, height: 32, channels: 3, background } })
        .png()
        .toBuffer();
    }
  }
  return files;
}

function realActivities({ api }: ServedApi, stores: Stores, folder: string): AllActivities {
  const deps = {
    ...stores,
    objects: api.objects,
    logger: createLogger('test', 'silent'),
    scratchFolder: join(folder, 'scratch'),
    codeRevision: 'test',
    threads: 1,
    imageLimits: { maxPixels: 1e6, maxBytes: 1e6, minSide: 8 },
  };
  return {
    ...createFakeActivities().activities,
    ...createRecordActivities(deps),
    ...createCheckActivities(deps),
    ...createImportActivities(deps),
  };
}

async function startWorkers(
  connection: NativeConnection,
  { api }: ServedApi,
  activities: AllActivities,
): Promise<{ stop(): Promise<void> }> {
  const logger = createLogger('test', 'silent');
  const attempts = createAttemptRecorder(createAttemptStore(api.database), logger);
  const shared: Parameters<typeof Worker.create>[0] = {
    connection,
    activities,
    taskQueue: '',
    interceptors: {
      activity: [
        (context) => ({
          inbound: createActivityInterceptor(context, logger, { attempts, steps: activities, worker: 'test' }),
        }),
      ],
    },
  };
  const workflowBundle = { codePath: bundlePath };
  const workers = [
    await Worker.create({ ...shared, taskQueue: taskQueues.pipeline, workflowBundle }),
    await Worker.create({ ...shared, taskQueue: taskQueues.training }),
  ];
  const ended = workers.map((worker) => worker.run());
  return {
    async stop() {
      for (const worker of workers) worker.shutdown();
      await Promise.all(ended);
    },
  };
}

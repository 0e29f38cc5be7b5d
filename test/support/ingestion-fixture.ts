import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { randomUUID } from 'node:crypto';
import sharp from 'sharp';
import { createIngestionActivities, type IngestionActivities } from '../../activities/ingestion/activities.js';
import { createImageThreads } from '../../activities/ingestion/image-threads.js';
import type { IngestionDependencies } from '../../activities/ingestion/dependencies.js';
import type { Source } from '../../contracts/datasets/datasets.js';
import type { IngestionResult } from '../../contracts/datasets/ingestion.js';
import { loadConfig } from '../../platform/config.js';
import { createLogger } from '../../platform/logging.js';
import { createDatasetCommits } from '../../stores/datasets/dataset-commits.js';
import { createDatasetStore, type DatasetStore } from '../../stores/datasets/datasets.js';
import { createIngestionStore } from '../../stores/datasets/ingestions.js';
import { createObjectStore, type ObjectStore } from '../../stores/objects/object-store.js';
import { createPixelIdentityStore } from '../../stores/datasets/pixel-identities.js';
import { createLabelStore } from '../../stores/predictions/labels.js';
import { createPublicationStore } from '../../stores/datasets/publications.js';
import { createSourceStore } from '../../stores/datasets/sources.js';
import { createUploadStore } from '../../stores/datasets/uploads.js';
import { startTestDatabase, type TestDatabase } from './test-database.js';
import { startObjectStore, type TestService } from './services.js';

/** Ingestion on a real Postgres and a real S3 server, with a folder for sources. */
export interface IngestionFixture {
  deps: IngestionDependencies;
  datasets: DatasetStore;
  objectServer: TestService;
  database: TestDatabase;
  /** Keys written to the object store since the last call. */
  takeUploads(): string[];
  /** Writes a source folder from paths and contents; returns its path. */
  folder(files: Readonly<Record<string, Uint8Array | string>>): string;
  /** Runs the activities one after another, as the workflow does. */
  ingest(source: Source, dataset?: string, replaces?: number): Promise<IngestionResult>;
  /** The activities, called as a worker would. */
  activities: IngestionActivities;
  stop(): Promise<void>;
}

export async function startIngestionFixture(environment: Record<string, string> = {}): Promise<IngestionFixture> {
  const [database, objectServer] = await Promise.all([startTestDatabase(), startObjectStore()]);
  const home = mkdtempSync(join(tmpdir(), 'perennial-test-ingestion-'));
  const config = loadConfig({
    ...objectServer.environment,
    PERENNIAL_HOME: home,
    ALLOWED_SOURCE_ROOT: home,
    ...environment,
  });
  const real = createObjectStore({ ...config, S3_ENDPOINT: objectServer.endpoint });
  await real.ensureBucket();
  const uploads: string[] = [];
  const objects: ObjectStore = {
    ...real,
    put: async (key, body, type) => {
      uploads.push(key);
      await real.put(key, body, type);
    },
  };
  const deps: IngestionDependencies = {
    ingestions: createIngestionStore(database.db),
    commits: createDatasetCommits(database.db),
    publications: createPublicationStore(database.db),
    sources: createSourceStore(database.db),
    pixels: createPixelIdentityStore(database.db),
    uploads: createUploadStore(database.db),
    labels: createLabelStore(database.db),
    objects,
    threads: createImageThreads(),
    config,
    logger: createLogger('test', 'silent'),
  };
  const activities = asInWorker(createIngestionActivities(deps));
  return {
    deps,
    datasets: createDatasetStore(database.db),
    objectServer,
    database,
    takeUploads: () => uploads.splice(0),
    folder: (files) => writeFolder(mkdtempSync(join(home, 'source-')), files),
    ingest: (source, dataset = 'flowers', replaces) => ingestOnce(activities, source, dataset, replaces),
    activities,
    async stop() {
      real.close();
      await Promise.all([database.stop(), objectServer.stop()]);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function ingestOnce(
  activities: IngestionActivities,
  source: Source,
  dataset: string,
  replaces: number | undefined,
): Promise<IngestionResult> {
  const ingestionId = randomUUID();
  await activities.resolveSource({ ingestionId, dataset, source, replaces });
  await activities.scanSource({ ingestionId });
  while ((await activities.ingestBatch({ ingestionId, limit: 50 })).pending > 0);
  return activities.commitDatasetVersion({ ingestionId });
}

function asInWorker(activities: IngestionActivities): IngestionActivities {
  const within =
    <I, R>(activity: (input: I) => Promise<R>) =>
    (input: I): Promise<R> =>
      new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }).run(activity, input);
  return {
    resolveSource: within(activities.resolveSource),
    scanSource: within(activities.scanSource),
    ingestBatch: within(activities.ingestBatch),
    commitDatasetVersion: within(activities.commitDatasetVersion),
    discardUpload: within(activities.discardUpload),
    abandonIngestion: within(activities.abandonIngestion),
  };
}

export function writeFolder(root: string, files: Readonly<Record<string, Uint8Array | string>>): string {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

/** A small JPEG of six grey squares; each number below 16 million gives a different image. */
export function patternImage(number: number): Promise<Buffer> {
  const [width, height, square] = [24, 16, 8];
  const grey = Buffer.alloc(width * height);
  for (let pixel = 0; pixel < grey.length; pixel += 1) {
    const column = Math.floor((pixel % width) / square);
    const row = Math.floor(pixel / width / square);
    grey[pixel] = ((number >> (4 * (column + 3 * row))) & 15) * 17;
  }
  return sharp(grey, { raw: { width, height, channels: 1 } })
    .jpeg({ quality: 95 })
    .toBuffer();
}

/** Class folders with `count` different images each, named `0.jpg`, `1.jpg` and so on. */
export async function classFolders(
  counts: Readonly<Record<string, number>>,
  firstNumber = 0,
): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  let number = firstNumber;
  for (const [label, count] of Object.entries(counts)) {
    for (let index = 0; index < count; index += 1)
      files[`${label}/${String(index)}.jpg`] = await patternImage(number++);
  }
  return files;
}

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { availableParallelism, hostname } from 'node:os';
import { join } from 'node:path';
import type { Express } from 'express';
import { z } from 'zod';
import { generationChannel } from '../contracts/names.js';
import { publishRules } from '../domain/datasets/publish-rules.js';
import { accuracyOf } from '../domain/predictions/accuracy.js';
import { minimumSide } from '../model/images/header.js';
import {
  allowedHosts,
  basePathOf,
  bundleFolder,
  localFolders,
  scratchFolder,
  serviceAddresses,
  type Config,
} from '../platform/config.js';
import type { Logger } from '../platform/logging.js';
import { createProcessTempFolder } from '../platform/process-temp-folder.js';
import { createStorageGuard, type StorageGuard } from '../platform/storage-guard.js';
import { packageRoot } from '../platform/paths.js';
import { addressWithoutSecrets } from '../platform/secrets.js';
import { readJson } from '../platform/validation/json-file.js';
import { createVersionPublisher, type VersionPublisher } from '../stores/datasets/publish-version.js';
import { createDatabase, type Database } from '../stores/postgres/database.js';
import { createObjectStore, type ObjectStore } from '../stores/objects/object-store.js';
import { createSourcePresence, type SourcePresence } from '../stores/objects/source-presence.js';
import { createSourceStore, type SourceStore } from '../stores/objects/source-store.js';
import { createApp } from './app.js';
import { composeRetraining, type RetrainingServices } from './retraining/compose.js';
import type { ApiSettings } from './http/settings.js';
import { reconcileBatches } from './batch-predictions/reconcile-batches.js';
import type { StorageMetrics } from './health/storage-metrics.js';
import { storageProbe } from './health/storage-probe.js';
import { createHealthReporter, type HealthReporter } from './health/health.js';
import { HeldRefusals } from './http/middleware/held-refusals.js';
import { createEngineLoader } from './model-host/load-engine.js';
import { LiveStatsRecorder } from './model-host/live-stats.js';
import { createApiMetrics, type ApiMetrics } from './metrics.js';
import { createModelHost, type ModelHost } from './model-host/model-host.js';
import { notificationSeries } from './notifications/notification-metrics.js';
import { productionSeries } from './retraining/retraining-metrics.js';
import { createPipelineStarter } from './workflows/pipeline-starter.js';
import { composePredictions, type PredictionServices } from './predictions/compose.js';
import { createPredictionCache } from './inference/prediction-cache.js';
import { createPredictor } from './inference/predictor.js';
import { createPromotionClient } from './promotion/promotion-client.js';
import { storageSeries } from './storage/storage-metrics.js';
import { createStorageMeter, type StorageMeter } from './storage/storage-meter.js';
import { createStores, type Stores } from '../stores/create-stores.js';
import { createTemporalLink, type TemporalLink } from './workflows/temporal-link.js';
import { createTemporalUrl } from './workflows/temporal-url.js';

export interface Api {
  app: Express;
  refusals: HeldRefusals;
  database: Database;
  objects: ObjectStore;
  /** The bucket of INGEST_S3_BUCKET, if there is one. */
  sourceObjects: SourceStore | undefined;
  sourcePresence: SourcePresence;
  temporal: TemporalLink;
  stores: Stores;
  publisher: VersionPublisher;
  health: HealthReporter;
  metrics: ApiMetrics;
  predictions: PredictionServices;
  retraining: RetrainingServices;
  /** Creates the model host, once the URL of this replica is known. */
  startServing(replicaUrl: string): ModelHost;
}

const pollMs = 1_000;

/** Wires the API from the configuration, once per process. Connects nothing. */
export async function composeApi(config: Config, logger: Logger): Promise<Api> {
  const services = createConnections(config, logger);
  const { database, objects, sourcePresence, temporal } = services;
  let host: ModelHost | null = null;
  const serving = { current: () => host?.current() ?? null, retirement: () => host?.retirement() ?? null };
  const metrics = createApiMetrics(() => serving.current()?.engine.waiting ?? 0);
  const version = await packageVersion();
  const storage = createStorage(config, metrics);
  const probes = { ...probesOf(services), storage: storageProbe(storage) };
  const health = createHealthReporter({ version, modelName: config.MODEL_NAME, host: serving, probes });
  const stores = createStores(database, accuracyOf);
  const publisher = createVersionPublisher({ ...stores, objects }, publishRules);
  const storageMeter = createStorageMeter({ objects, ...stores, home: config.PERENNIAL_HOME });
  addStoredSeries(metrics, stores, storageMeter);
  const replica = `${hostname()}-${randomUUID()}`;
  const predictions = composePredictions({
    ...{ stores, objects, replica, host: serving, metrics, storage, logger },
    isLogged: config.PREDICTION_LOG,
    spoolFolder: join(config.PERENNIAL_HOME, 'spool'),
  });
  const liveStats = new LiveStatsRecorder();
  const cache = createPredictionCache(config.PREDICTION_CACHE_ITEMS);
  const starter = createPipelineStarter({ temporal, pipelines: stores.pipelines, storage, logger });
  const retraining = composeRetraining({ config, stores, temporal, starter, metrics, logger });
  const refusals = new HeldRefusals();
  const dependencies = {
    ...{ host: serving, health, metrics, starter },
    predictor: createPredictor({
      ...{ host: serving, ...predictions, cache, modelName: config.MODEL_NAME },
      listeners: [metrics, liveStats],
    }),
    promoter: createPromotionClient({ temporal, starter, ...stores }),
    temporalUrl: createTemporalUrl(config.TEMPORAL_UI_URL, config.TEMPORAL_NAMESPACE),
    ...stores,
    batchPredictions: reconcileBatches({ ...stores, temporal, logger }),
    ...predictions,
    ...retraining,
    ...{ objects, sourcePresence, publisher, storage, storageMeter, logger },
    settings: settingsOf(config, version, await createProcessTempFolder(join(scratchFolder(config), 'uploads'))),
  };
  const app = createApp(dependencies, refusals);
  const startServing = (replicaUrl: string): ModelHost => {
    const reporting = { database, objects, stores, metrics, liveStats };
    host = createHost(config, logger, reporting, { id: replica, url: replicaUrl });
    host.start();
    return host;
  };
  return { ...services, app, refusals, stores, publisher, health, metrics, predictions, retraining, startServing };
}

function createStorage(config: Config, metrics: StorageMetrics): StorageGuard {
  const storage = createStorageGuard({
    folders: localFolders(config),
    minFreeBytes: config.MIN_FREE_BYTES,
    onRefused: (use) => metrics.countStorageRefusal(use),
  });
  metrics.watchStorage(storage);
  return storage;
}

/** Series whose values are read from the database, or measured, at a scrape. */
function addStoredSeries(metrics: ApiMetrics, { notifications, registry }: Stores, meter: StorageMeter): void {
  const series = [notificationSeries(notifications), productionSeries(registry), storageSeries(meter)];
  series.forEach(metrics.addSeries);
}

type Connections = Pick<Api, 'database' | 'objects' | 'sourceObjects' | 'sourcePresence' | 'temporal'>;

function createConnections(config: Config, logger: Logger): Connections {
  const { DATABASE_URL, S3_ENDPOINT, TEMPORAL_ADDRESS } = serviceAddresses(config, 'The API');
  const objects = createObjectStore({ ...config, S3_ENDPOINT });
  const sourceObjects = createSourceStore({ ...config, S3_ENDPOINT });
  return {
    database: createDatabase({
      url: DATABASE_URL,
      poolSize: config.DATABASE_POOL_SIZE,
      logger,
      queryTimeoutMs: config.DATABASE_TIMEOUT_MS,
    }),
    ...{ objects, sourceObjects, sourcePresence: createSourcePresence({ config, objects, sourceObjects }) },
    temporal: createTemporalLink({
      address: TEMPORAL_ADDRESS,
      namespace: config.TEMPORAL_NAMESPACE,
      apiKey: config.TEMPORAL_API_KEY,
      tls: config.TEMPORAL_TLS,
    }),
  };
}

function probesOf({ database, objects, temporal }: Connections): Record<string, () => Promise<unknown>> {
  return {
    postgres: () => database.query('SELECT 1'),
    object_store: () => objects.head('health'),
    temporal: () => temporal.probe(),
  };
}

function settingsOf(config: Config, version: string, uploadFolder: string): ApiSettings {
  return {
    version,
    modelName: config.MODEL_NAME,
    datasetName: config.DATASET_NAME,
    maxUploadBytes: config.MAX_UPLOAD_BYTES,
    imageUrlHosts: config.IMAGE_URL_HOSTS,
    publicUrl: config.PUBLIC_URL === undefined ? null : addressWithoutSecrets(config.PUBLIC_URL),
    basePath: basePathOf(config),
    allowedHosts: allowedHosts(config),
    ownOrigins: config.PUBLIC_URL === undefined ? [] : [new URL(config.PUBLIC_URL).origin],
    uploadFolder,
    sourceFolders: config,
  };
}

function createHost(
  config: Config,
  logger: Logger,
  {
    database,
    objects,
    stores,
    metrics,
    liveStats,
  }: Pick<Api, 'database' | 'objects' | 'stores' | 'metrics'> & { liveStats: LiveStatsRecorder },
  replica: { id: string; url: string },
): ModelHost {
  const loadEngine = createEngineLoader({
    objects,
    cacheFolder: bundleFolder(config),
    engine: {
      threads: config.SERVING_THREADS === 0 ? availableParallelism() : config.SERVING_THREADS,
      queueLimit: config.SERVING_QUEUE_LIMIT,
      limits: { maxPixels: config.MAX_IMAGE_PIXELS, maxBytes: config.MAX_UPLOAD_BYTES, minSide: minimumSide },
      variant: config.SERVING_VARIANT,
      latencyTargetMs: config.SERVING_LATENCY_TARGET_MS,
      onVariantRefused: (message) => logger.warn({ reason: message }, 'a precision variant is not served'),
      onThreadDeath: (message) => logger.error({ reason: message }, 'an inference thread crashed and is replaced'),
    },
  });
  return createModelHost({
    modelName: config.MODEL_NAME,
    replica,
    ...stores,
    subscribe: (onHint) => database.listen(generationChannel, onHint),
    loadEngine,
    onChange: (served) => metrics.showModel(served),
    liveStats,
    logger,
    pollMs,
  });
}

async function packageVersion(): Promise<string> {
  const text = await readFile(join(packageRoot, 'package.json'), 'utf8');
  return readJson(z.object({ version: z.string() }), text).version;
}

import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { composeApi, type Api } from '../../api/compose.js';
import { listen } from '../../api/http/server/listen.js';
import type { ModelHost } from '../../api/model-host/model-host.js';
import { startPredictionMaintenance } from '../../api/predictions/compose.js';
import { bundleFiles } from '../../contracts/registry/bundle.js';
import { problemSchema } from '../../contracts/http/problem.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { modelMetricsSchema } from '../../contracts/training/training.js';
import { nextSemanticVersion } from '../../domain/registry/semantic-version.js';
import { readJson } from '../../platform/validation/json-file.js';
import { loadConfig, type Config } from '../../platform/config.js';
import { createLogger } from '../../platform/logging.js';
import { publishBundle } from '../../stores/registry/bundles.js';
import { migrate } from '../../stores/postgres/migrate.js';
import { createRegistryStore, type RegistryStore } from '../../stores/registry/registry.js';
import { poll } from './api-client.js';
import { unfenced } from './measurements.js';
import { writeTinyBundle, type TinyBundleOptions } from './tiny-bundle.js';

/** The API in this process, listening, on real services. */
export interface ServedApi {
  url: string;
  config: Config;
  api: Api;
  host: ModelHost;
  registry: RegistryStore;
  /** Publishes a model of a few kilobytes and registers it in Staging. */
  registerTiny(options?: TinyBundleOptions): Promise<ModelVersion>;
  promote(version: ModelVersion): Promise<{ generation: number; idempotencyKey: string }>;
  stop(): Promise<void>;
}

/** Starts the API as `api/server.ts` does, on the services in `environment`, with a data folder below `parent`. */
export async function startApi(environment: Record<string, string>, parent = tmpdir()): Promise<ServedApi> {
  const home = await mkdtemp(join(parent, 'perennial-test-api-'));
  // No server listens on port 9: services that a test does not start are unreachable.
  const away = { S3_ENDPOINT: 'http://127.0.0.1:9', TEMPORAL_ADDRESS: '127.0.0.1:9' };
  // The prediction cache and load shedding are off, so that they do not change the results of tests.
  const plain = {
    ...{ PREDICTION_CACHE_ITEMS: '0', SERVING_LATENCY_TARGET_MS: '0' },
    ALLOWED_SOURCE_ROOT: '/photographs',
  };
  const config = loadConfig({ ...away, ...plain, ...environment, PERENNIAL_HOME: home, SERVING_THREADS: '1' });
  const api = await composeApi(config, createLogger('api', 'silent'));
  const listening = await listen(api.app, '127.0.0.1', 0);
  const url = `http://127.0.0.1:${listening.port}`;
  await migrate(api.database);
  if (environment['S3_ENDPOINT'] !== undefined) await api.objects.ensureBucket();
  const endChores = startPredictionMaintenance(api, createLogger('api', 'silent'));
  const host = api.startServing(url);
  api.health.setReady();
  const registry = createRegistryStore(api.database);
  return {
    url,
    config,
    api,
    host,
    registry,
    registerTiny: (options) => registerTiny(api, registry, options),
    async promote({ modelName, version }) {
      const idempotencyKey = randomUUID();
      const { generation } = await registry.promote({
        modelName,
        version,
        idempotencyKey,
        reason: 'test',
        ...unfenced,
      });
      return { generation, idempotencyKey };
    },
    async stop() {
      await listening.stop(1_000);
      endChores();
      await host.stop();
      await Promise.all([api.predictions.predictionLog.stop(), api.predictions.inputCapture.stop()]);
      await api.temporal.close();
      api.objects.close();
      api.sourceObjects?.close();
      await api.database.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function registerTiny(
  { objects }: Api,
  registry: RegistryStore,
  options: TinyBundleOptions = {},
): Promise<ModelVersion> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-test-bundle-'));
  try {
    const runId = randomUUID();
    const manifest = await writeTinyBundle(folder, { ...options, runId });
    const { test } = readJson(modelMetricsSchema, await readFile(join(folder, bundleFiles.metrics), 'utf8'));
    return await registry.register({
      ...(await publishBundle(objects, folder, manifest.modelName)),
      modelName: manifest.modelName,
      runId,
      architecture: manifest.architecture,
      labels: manifest.labels,
      dataset: manifest.dataset,
      datasetVersion: manifest.datasetVersion,
      datasetDigest: manifest.datasetDigest,
      sizeBytes: (await stat(join(folder, bundleFiles.onnx))).size,
      evaluation: test,
      semanticVersion: nextSemanticVersion,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A multipart body with one file. */
export function formWith(field: string, bytes: Uint8Array, name = 'image.jpg'): FormData {
  const form = new FormData();
  form.append(field, new Blob([new Uint8Array(bytes)]), name);
  return form;
}

/** A red image, which the tiny model classifies as a dandelion. */
export function redImage(width = 224, height = 224): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: '#ff0000' } })
    .png()
    .toBuffer();
}

/** Waits until a version is served, or none. */
export async function serves({ host }: ServedApi, version: ModelVersion | null): Promise<void> {
  await poll(
    () => Promise.resolve(host.current()?.version.version ?? 'none'),
    (now) => now === (version?.version ?? 'none'),
  );
}

/** Asserts that a response is a problem and returns its kind. */
export async function problemOf(response: Response): Promise<{ status: number; code: string }> {
  const { status, code } = problemSchema.parse(await response.json());
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(response.status).toBe(status);
  return { status, code };
}

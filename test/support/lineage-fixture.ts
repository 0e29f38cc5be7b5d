import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleFiles, currentPreprocessing, manifestSchema, type Manifest } from '../../contracts/registry/bundle.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { hyperparametersSchema, modelMetricsSchema } from '../../contracts/training/training.js';
import { nextSemanticVersion } from '../../domain/registry/semantic-version.js';
import { readJson, writeJson } from '../../platform/validation/json-file.js';
import { publishBundle } from '../../stores/registry/bundles.js';
import { createFeatureStore } from '../../stores/features/features.js';
import { featureFileKey } from '../../stores/objects/object-keys.js';
import { createRunStore } from '../../stores/experiments/runs.js';
import { classFolders, startIngestionFixture, type IngestionFixture } from './ingestion-fixture.js';
import { serves, startApi, type ServedApi } from './served-api.js';
import { writeTinyBundle } from './tiny-bundle.js';
import { sha256Of } from './training-fixtures.js';

/** An API that serves a version with its whole lineage in the database: images, embeddings, run, bundle, promotion. */
export interface LineageFixture {
  ingestion: IngestionFixture;
  served: ServedApi;
  /** Ingests a dataset, records a run, and puts its version into Production. */
  train(dataset: string, images: Readonly<Record<string, number>>, firstImage?: number): Promise<ModelVersion>;
  /** Like `train`, on the newest version of an existing dataset. */
  trainOn(dataset: string): Promise<ModelVersion>;
  stop(): Promise<void>;
}

export async function startLineageFixture(): Promise<LineageFixture> {
  const ingestion = await startIngestionFixture();
  const served = await startApi({ ...ingestion.database.postgres.environment, ...ingestion.objectServer.environment });
  const trainOn = async (dataset: string): Promise<ModelVersion> => {
    const version = await registerTrained(ingestion, served, dataset);
    await served.promote(version);
    await serves(served, version);
    return version;
  };
  return {
    ingestion,
    served,
    trainOn,
    async train(dataset, images, firstImage) {
      await ingestion.ingest(
        { kind: 'folder', path: ingestion.folder(await classFolders(images, firstImage)) },
        dataset,
      );
      return trainOn(dataset);
    },
    async stop() {
      await served.stop();
      await ingestion.stop();
    },
  };
}

async function registerTrained(ingestion: IngestionFixture, served: ServedApi, dataset: string): Promise<ModelVersion> {
  const { db } = ingestion.database;
  const data = await ingestion.datasets.latestVersion(dataset);
  if (!data) throw new Error(`${dataset} has no version`);
  const runId = randomUUID();
  const run = { runId, modelName: 'dandelion_grass_classifier', dataset, datasetVersion: data.version };
  const runs = createRunStore(db);
  const hyperparameters = hyperparametersSchema.parse({});
  await runs.open({ ...run, hyperparameters, workflowId: `train-${runId}`, codeRevision: 'abc123' }, 1);
  await db.query(
    `INSERT INTO activity_attempts (workflow_id, run_id, activity_id, attempt, activity_type, task_queue, worker, status, started_at)
     VALUES ($1, $2, '1', 1, 'fit', 'training', 'w', 'completed', now())`,
    [`train-${runId}`, `temporal-${runId}`],
  );
  await embed(ingestion, dataset, data.version, runId);
  const folder = await mkdtemp(join(tmpdir(), 'perennial-test-bundle-'));
  try {
    const manifest = await writeBundle(folder, {
      runId,
      dataset,
      datasetVersion: data.version,
      datasetDigest: data.digest,
      architecture: 'efficientnet-lite0',
      codeRevision: 'abc123',
    });
    const metrics = readJson(modelMetricsSchema, await readFile(join(folder, bundleFiles.metrics), 'utf8'));
    return await served.registry.register(
      {
        ...(await publishBundle(served.api.objects, folder, manifest.modelName)),
        ...run,
        architecture: manifest.architecture,
        labels: manifest.labels,
        datasetDigest: data.digest,
        sizeBytes: 1,
        evaluation: metrics.test,
        semanticVersion: nextSemanticVersion,
      },
      { weightsSha256: manifest.weightsSha256, bestEpoch: metrics.bestEpoch, metrics },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Adds the missing embeddings, in a file with dummy content. */
async function embed(ingestion: IngestionFixture, dataset: string, version: number, runId: string): Promise<void> {
  const features = createFeatureStore(ingestion.database.db);
  const examples = await ingestion.datasets.examples(dataset, version);
  const backbone = 'b'.repeat(64);
  const images = await features.missing(
    { backbone, preprocessing: currentPreprocessing, runtime: 'ort' },
    examples.map(({ sha256 }) => sha256),
  );
  if (images.length === 0) return;
  const bytes = Buffer.from(`embeddings of ${images.join(' ')}`);
  const objectKey = featureFileKey(backbone, sha256Of(bytes));
  await ingestion.deps.objects.put(objectKey, bytes);
  await features.add(
    { backbone, preprocessing: currentPreprocessing, runtime: 'ort' },
    { objectKey, sha256: sha256Of(bytes), images, runId },
  );
}

async function writeBundle(folder: string, changes: Partial<Manifest>): Promise<Manifest> {
  const manifest = manifestSchema.parse({ ...(await writeTinyBundle(folder)), ...changes });
  await writeFile(join(folder, bundleFiles.manifest), writeJson(manifestSchema, manifest));
  return manifest;
}

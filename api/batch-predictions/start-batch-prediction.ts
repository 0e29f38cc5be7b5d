import { hash } from 'node:crypto';
import type { Actor } from '../../contracts/audit/audit.js';
import {
  batchFormats,
  type BatchOrder,
  type BatchSource,
} from '../../contracts/batch-predictions/batch-predictions.js';
import { errorCodeOf, PerennialError } from '../../contracts/errors.js';
import type { StartBatchPrediction } from '../../contracts/batch-predictions/http-batch-predictions.js';
import { batchWorkflowId } from '../../contracts/names.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { refusalOfPrefix } from '../../domain/predictions/batch-prefix.js';
import type { BatchPrediction, BatchPredictionStore } from '../../stores/batch-predictions/batch-predictions.js';
import { isRetired } from '../model-host/served-model.js';
import type { ApiSettings } from '../http/settings.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { PipelineStarter } from '../workflows/pipeline-starter.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { UploadStore } from '../../stores/datasets/uploads.js';

export interface BatchStarterDependencies {
  batchPredictions: Pick<BatchPredictionStore, 'forget' | 'get' | 'known' | 'open' | 'started'>;
  registry: Pick<RegistryStore, 'get' | 'list' | 'servingState'>;
  policies: Pick<PolicyStore, 'get'>;
  datasets: Pick<DatasetStore, 'detail' | 'versionDetail'>;
  uploads: Pick<UploadStore, 'getUpload'>;
  objects: Pick<ObjectStore, 'list'>;
  starter: Pick<PipelineStarter, 'reach' | 'startBatch'>;
  settings: Pick<ApiSettings, 'modelName'>;
}

export interface BatchRequest {
  by: Actor;
  /** The same key with the same body returns the existing job. */
  idempotencyKey: string;
}

/**
 * Starts a batch prediction, once per key. Throws `no_model`, `not_found`, `source_empty`, `bad_request` for a prefix
 * that the product itself writes, and `conflict` for a key used with another request or an upload for another purpose.
 */
export async function startBatchPrediction(
  deps: BatchStarterDependencies,
  body: StartBatchPrediction,
  { by, idempotencyKey }: BatchRequest,
): Promise<BatchPrediction> {
  const { batchPredictions, starter } = deps;
  const id = idOf(idempotencyKey);
  const known = await batchPredictions.known(id, body);
  if (known && known.runId !== null) return known;
  const order = known?.order ?? (await orderOf(deps, body));
  // Check Temporal before recording anything: a job whose start may have succeeded must stay.
  await starter.reach();
  const job = await batchPredictions.open({ id, workflowId: batchWorkflowId(id), request: body, order, by });
  try {
    const dataset = order.source.kind === 'dataset' ? order.source.dataset : null;
    const { runId } = await starter.startBatch({ jobId: job.id, modelName: order.modelName, dataset });
    await batchPredictions.started(id, runId);
  } catch (error) {
    if (errorCodeOf(error) !== 'temporal_unavailable') await batchPredictions.forget(id);
    throw error;
  }
  return batchPredictions.get(id);
}

/** The request with everything resolved that may change later. */
async function orderOf(deps: BatchStarterDependencies, body: StartBatchPrediction): Promise<BatchOrder> {
  const modelName = body.model_name ?? deps.settings.modelName;
  const { version, labels } = await versionOf(deps, modelName, body.version);
  const { serving } = await deps.policies.get(modelName);
  return {
    modelName,
    version,
    labels,
    source: await sourceOf(deps, body.source),
    formats: batchFormats.filter((format) => body.formats?.includes(format) ?? true),
    targetRisk: serving.targetRisk,
  };
}

async function versionOf(
  { registry, settings }: BatchStarterDependencies,
  modelName: string,
  asked: string | undefined,
): Promise<ModelVersion> {
  if (asked !== undefined) return registry.get(modelName, Number(asked));
  const { version, retirement } = await registry.servingState(modelName);
  if (version) return version;
  if (retirement) throw isRetired(retirement, modelName);
  // An unknown model is a fault of the request: throw `not_found`.
  if (modelName !== settings.modelName) await registry.list(modelName, { limit: 1 });
  throw new PerennialError(
    modelName === settings.modelName ? 'no_model' : 'conflict',
    `No version of ${modelName} is in Production. Promote one, or name the version to predict with.`,
  );
}

async function sourceOf(
  { datasets, uploads, objects }: BatchStarterDependencies,
  source: StartBatchPrediction['source'],
): Promise<BatchSource> {
  switch (source.kind) {
    case 'prefix': {
      const refusal = refusalOfPrefix(source.prefix);
      if (refusal !== null) throw new PerennialError('bad_request', `This prefix is not allowed. ${refusal}`);
      await requireSomething(objects, source.prefix);
      return source;
    }
    case 'dataset': {
      const version = source.version ?? (await datasets.detail(source.dataset))?.currentVersion ?? null;
      if (version === null) throw noDataset(source.dataset);
      await datasets.versionDetail(source.dataset, version);
      return { ...source, version };
    }
    case 'upload': {
      const { dataset, isDiscarded } = await uploads.getUpload(source.upload_id);
      if (dataset !== null || isDiscarded) throw otherUpload(source.upload_id, dataset);
      return { kind: 'upload', uploadId: source.upload_id };
    }
  }
}

async function requireSomething(objects: BatchStarterDependencies['objects'], prefix: string): Promise<void> {
  for await (const { key } of objects.list(prefix)) if (!key.endsWith('/')) return;
  throw new PerennialError(
    'source_empty',
    `There are no objects below ${prefix} in the bucket. Put images there first.`,
  );
}

function noDataset(dataset: string): PerennialError {
  return new PerennialError('not_found', `There is no dataset ${dataset} with a version. Ingest images to create one.`);
}

function otherUpload(uploadId: string, dataset: string | null): PerennialError {
  const why = dataset === null ? 'has been predicted, and its files are gone' : `is for the dataset ${dataset}`;
  return new PerennialError(
    'conflict',
    `Upload ${uploadId} ${why}. Send the images again: POST /api/v1/batch-predictions/uploads.`,
  );
}

/** The id of a job from its key, so that a request that is repeated after a crash finds its job. */
function idOf(idempotencyKey: string): string {
  const digest = hash('sha256', `batch prediction ${idempotencyKey}`, 'buffer');
  // UUID version 8 (RFC 9562): custom bits with version and variant.
  digest.writeUInt8(0x80 | (digest.readUInt8(6) & 0x0f), 6);
  digest.writeUInt8(0x80 | (digest.readUInt8(8) & 0x3f), 8);
  const hex = digest.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}

import { z } from 'zod';
import { batchStatuses } from '../../contracts/batch-predictions/batch-predictions.js';
import { nameSchema } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import {
  batchParams,
  batchPredictionViewSchema,
  batchUploadViewSchema,
  startBatchPredictionSchema,
} from '../../contracts/batch-predictions/http-batch-predictions.js';
import { pageOf } from '../../contracts/http/page.js';
import type { BatchPrediction, BatchPredictionStore } from '../../stores/batch-predictions/batch-predictions.js';
import { actorOf } from '../access/actor.js';
import { startBatchPrediction, type BatchStarterDependencies } from './start-batch-prediction.js';
import { idempotencyKeyOf } from '../http/idempotency-key.js';
import { storeUpload, type UploadDestination } from '../datasets/store-upload.js';
import { fileFormProblems, receiveFiles } from '../http/body/multipart.js';
import type { UploadQuota } from '../http/body/upload-quota.js';
import { recordChange } from '../audit/record-change.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, formBody, json, jsonBody, type Reply, type Route } from '../http/route.js';
import { batchPath, batchPredictionView } from './batch-view.js';
import { batchResultRoutes, type BatchResultDependencies } from './result-routes.js';
import type { ApiSettings } from '../http/settings.js';
import type { AuditStore } from '../../stores/audit/audit.js';
import type { PipelineStarter } from '../workflows/pipeline-starter.js';

interface Dependencies extends BatchStarterDependencies, BatchResultDependencies, UploadDestination {
  batchPredictions: Pick<BatchPredictionStore, 'list'> &
    BatchStarterDependencies['batchPredictions'] &
    BatchResultDependencies['batchPredictions'];
  uploads: BatchStarterDependencies['uploads'] & UploadDestination['uploads'];
  objects: BatchStarterDependencies['objects'] & BatchResultDependencies['objects'] & UploadDestination['objects'];
  starter: BatchStarterDependencies['starter'] & Pick<PipelineStarter, 'cancel'>;
  audit: Pick<AuditStore, 'add'>;
  settings: Pick<ApiSettings, 'modelName' | 'maxUploadBytes' | 'uploadFolder'>;
  uploadQuota: UploadQuota;
}

/** Batch predictions: predictions over many images as durable jobs. */
export function batchPredictionRoutes(dependencies: Dependencies): Route[] {
  return [
    startRoute(dependencies),
    uploadRoute(dependencies),
    ...readRoutes(dependencies),
    cancelRoute(dependencies),
    ...batchResultRoutes(dependencies),
  ];
}

/** 202 for a job that was started, or that exists with this key. */
export function batchAccepted(job: BatchPrediction): Reply<z.input<typeof batchPredictionViewSchema>> {
  return { status: 202, body: batchPredictionView(job), headers: { Location: `${batchPath}/${job.id}` } };
}

function startRoute(dependencies: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: batchPath,
    operationId: 'startBatchPrediction',
    summary: 'Predict every image of a bucket prefix, a dataset version or an upload',
    tag: 'predictions',
    audit: 'batch_prediction.start',
    body: jsonBody(startBatchPredictionSchema, { maxBytes: 100_000 }, true),
    success: json(batchPredictionViewSchema, 'Started, or the job this Idempotency-Key started before', 202),
    problems: [
      'bad_request',
      'not_found',
      'conflict',
      'version_without_file',
      'unsupported_type',
      'source_empty',
      'no_model',
      'model_retired',
      'insufficient_storage',
      'temporal_unavailable',
      'object_store_unavailable',
      'database_unavailable',
    ],
    async handle({ body, request }) {
      const asked = { by: actorOf(request), idempotencyKey: idempotencyKeyOf(request) };
      return batchAccepted(await startBatchPrediction(dependencies, body, asked));
    },
  });
}

const maxFiles = 500;
const maxRequestBytes = 1_000_000_000;
const noFile = 'Send at least one image as multipart/form-data in the field “files”.';

const uploadForm = z.object({
  files: z
    .array(z.string().meta({ format: 'binary' }))
    .min(1)
    .max(maxFiles)
    .describe('JPEG, PNG or WebP images'),
});

function uploadRoute(dependencies: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: `${batchPath}/uploads`,
    operationId: 'uploadBatch',
    summary: 'Upload images for a batch prediction; they are deleted when it completes, or after a day',
    tag: 'predictions',
    audit: 'batch_prediction.upload',
    body: formBody(uploadForm, { maxBytes: maxRequestBytes }),
    success: json(batchUploadViewSchema, 'Stored: start a job with this upload', 201),
    problems: fileFormProblems,
    async handle({ request, response }) {
      const { uploadFolder, maxUploadBytes: fileSize } = dependencies.settings;
      const limits = { fileSize, files: maxFiles, fields: 0, parts: maxFiles };
      const options = { uploadFolder, quota: dependencies.uploadQuota, maxBytes: maxRequestBytes, limits, noFile };
      return receiveFiles(request, response, options, async (files) => {
        const uploadId = await storeUpload(dependencies, { dataset: null, label: null }, files);
        const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
        await recordChange(dependencies, {
          by: actorOf(request),
          action: 'batch_prediction.upload',
          subject: `batch-predictions/uploads/${uploadId}`,
          after: { files: files.length, bytes },
        });
        return { body: { upload_id: uploadId, files: files.length, bytes } };
      });
    },
  });
}

function readRoutes({ batchPredictions }: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: batchPath,
      operationId: 'listBatchPredictions',
      summary: 'Batch predictions, newest first',
      tag: 'predictions',
      query: pageQuery.extend({ model: nameSchema.optional(), status: z.enum(batchStatuses).optional() }),
      success: json(pageOf(batchPredictionViewSchema), 'A page of batch predictions'),
      problems: ['bad_request', 'database_unavailable'],
      async handle({ query: { limit, page_token, model, status } }) {
        const page = await batchPredictions.list({ limit, pageToken: page_token ?? null, modelName: model, status });
        const items = page.items.map((job) => batchPredictionView(job));
        return { body: { items, next_page_token: page.nextPageToken } };
      },
    }),
    defineRoute({
      method: 'get',
      path: `${batchPath}/{id}`,
      operationId: 'getBatchPrediction',
      summary: 'A batch prediction: progress, and results if there are any',
      tag: 'predictions',
      params: batchParams,
      success: json(batchPredictionViewSchema, 'The job'),
      problems: ['bad_request', 'not_found', 'database_unavailable'],
      handle: async ({ params: { id } }) => ({
        body: batchPredictionView(await batchPredictions.get(id)),
        headers: { 'Cache-Control': 'no-store' },
      }),
    }),
  ];
}

function cancelRoute(dependencies: Dependencies): Route {
  const { batchPredictions, starter } = dependencies;
  return defineRoute({
    method: 'post',
    path: `${batchPath}/{id}/cancel`,
    operationId: 'cancelBatchPrediction',
    summary: 'Cancel a batch prediction; finished images stay as its results',
    tag: 'predictions',
    audit: 'batch_prediction.cancel',
    params: batchParams,
    success: json(batchPredictionViewSchema, 'Cancellation requested', 202),
    problems: ['bad_request', 'not_found', 'conflict', 'temporal_unavailable', 'database_unavailable'],
    async handle({ params: { id }, request }) {
      const { status, workflowId, runId, done } = await batchPredictions.get(id);
      if (runId === null || (status !== 'running' && status !== 'waiting')) {
        throw new PerennialError('conflict', `Batch prediction ${id} is ${status}, so it cannot be cancelled.`);
      }
      await starter.cancel({ workflowId, runId });
      await recordChange(dependencies, {
        by: actorOf(request),
        action: 'batch_prediction.cancel',
        subject: `batch-predictions/${id}`,
        before: { status, done },
        after: { asked: 'cancel' },
      });
      return { body: batchPredictionView(await batchPredictions.get(id)) };
    },
  });
}

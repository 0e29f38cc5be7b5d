import { randomUUID } from 'node:crypto';
import type { Request } from 'express';
import { z } from 'zod';
import { labelSchema, nameSchema } from '../../contracts/datasets/datasets.js';
import { errorCodeOf } from '../../contracts/errors.js';
import { uploadAcceptedSchema } from '../../contracts/datasets/http-datasets.js';
import { actorOf } from '../access/actor.js';
import { discardUnused, storeUpload, type UploadDestination } from './store-upload.js';
import { receiveFiles } from '../http/body/multipart.js';
import type { UploadQuota } from '../http/body/upload-quota.js';
import { recordChange } from '../audit/record-change.js';
import type { StartedRun, PipelineStarter } from '../workflows/pipeline-starter.js';
import { parseRequest } from '../http/problems.js';
import { defineRoute, formBody, json, type Route } from '../http/route.js';
import { accepted } from '../workflows/accepted.js';
import type { ApiSettings } from '../http/settings.js';
import type { AuditStore } from '../../stores/audit/audit.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';

interface Dependencies extends UploadDestination {
  starter: Pick<PipelineStarter, 'reach' | 'startIngestion'>;
  temporalUrl: TemporalUrl;
  settings: Pick<ApiSettings, 'maxUploadBytes' | 'uploadFolder'>;
  audit: Pick<AuditStore, 'add'>;
  uploadQuota: UploadQuota;
}

const maxFiles = 500;
const maxRequestBytes = 1_000_000_000;
const noFile = 'Send at least one image as multipart/form-data in the field “files”.';

const uploadForm = z.object({
  label: labelSchema.describe('the class of all these images'),
  files: z
    .array(z.string().meta({ format: 'binary' }))
    .min(1)
    .max(maxFiles)
    .describe('JPEG, PNG or WebP images; the ingestion reports unusable files'),
});

/** Uploads images into a dataset: to disk, to the object store, then an ingestion. */
export function uploadRoutes(dependencies: Dependencies): Route[] {
  const { settings, starter, temporalUrl, uploadQuota: quota } = dependencies;
  return [
    defineRoute({
      method: 'post',
      path: '/api/v1/datasets/{name}/images',
      operationId: 'uploadImages',
      summary: 'Add images of one class to a dataset',
      tag: 'datasets',
      audit: 'dataset.upload',
      params: z.object({ name: nameSchema }),
      body: formBody(uploadForm, { maxBytes: maxRequestBytes }),
      success: json(uploadAcceptedSchema, 'Stored; the ingestion was started', 202),
      problems: [
        'bad_request',
        'no_file',
        'too_large',
        'unsupported_type',
        'overloaded',
        'insufficient_storage',
        'temporal_unavailable',
        'object_store_unavailable',
        'object_store_refused',
        'database_unavailable',
      ],
      async handle({ params: { name: dataset }, request, response }) {
        const limits = {
          ...{ fileSize: settings.maxUploadBytes, files: maxFiles },
          ...{ fields: 16, fieldSize: 1024, parts: maxFiles + 20 },
        };
        const options = { uploadFolder: settings.uploadFolder, quota, maxBytes: maxRequestBytes, limits, noFile };
        return receiveFiles(request, response, options, async (files) => {
          const label = labelOf(request);
          // Check Temporal before storing anything: the images of a start that may have succeeded must stay.
          await starter.reach();
          const uploadId = await storeUpload(dependencies, { dataset, label }, files);
          const run = await startIngestion(dependencies, dataset, label, uploadId);
          const reply = accepted(run, temporalUrl);
          const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
          await recordChange(dependencies, {
            by: actorOf(request),
            action: 'dataset.upload',
            subject: `datasets/${dataset}`,
            after: { uploadId, label, files: files.length, bytes, runId: run.runId },
          });
          return { ...reply, body: { ...reply.body, upload_id: uploadId, files: files.length, bytes } };
        });
      },
    }),
  ];
}

async function startIngestion(
  dependencies: Dependencies,
  dataset: string,
  label: string,
  uploadId: string,
): Promise<StartedRun> {
  try {
    return await dependencies.starter.startIngestion({
      dataset,
      source: { kind: 'upload', uploadId },
      label,
      trigger: 'manual',
      requestId: randomUUID(),
    });
  } catch (error) {
    if (errorCodeOf(error) !== 'temporal_unavailable') await discardUnused(dependencies, uploadId);
    throw error;
  }
}

function labelOf(request: Request): string {
  return parseRequest(z.object({ label: labelSchema }), request.body, '#').label;
}

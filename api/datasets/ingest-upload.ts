import { randomUUID } from 'node:crypto';
import type { Request } from 'express';
import type { ExistingSplit } from '../../contracts/datasets/datasets.js';
import { errorCodeOf } from '../../contracts/errors.js';
import type { uploadAcceptedSchema } from '../../contracts/datasets/http-datasets.js';
import type { IngestionInput } from '../../contracts/datasets/ingestion.js';
import type { z } from 'zod';
import { actorOf } from '../access/actor.js';
import { recordChange } from '../audit/record-change.js';
import type { ReceivedFile } from '../http/body/multipart.js';
import type { AuditStore } from '../../stores/audit/audit.js';
import { accepted } from '../workflows/accepted.js';
import type { StartedRun, PipelineStarter } from '../workflows/pipeline-starter.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';
import { discardUnused, storeUpload, type UploadDestination } from './store-upload.js';

export interface UploadIngestion extends UploadDestination {
  starter: Pick<PipelineStarter, 'reach' | 'startIngestion'>;
  temporalUrl: TemporalUrl;
  audit: Pick<AuditStore, 'add'>;
}

/** `label` is null for an archive, which brings its own. */
export interface ReceivedUpload extends Pick<IngestionInput, 'dataset' | 'thenTrain'> {
  label: string | null;
  /** What becomes of the split that an archive has already. */
  split?: ExistingSplit | undefined;
  files: readonly ReceivedFile[];
}

type Reply = Omit<ReturnType<typeof accepted>, 'body'> & { body: z.input<typeof uploadAcceptedSchema> };

/** Stores received files and starts their ingestion. */
export async function ingestUpload(
  dependencies: UploadIngestion,
  request: Request,
  { files, ...upload }: ReceivedUpload,
): Promise<Reply> {
  const { dataset, label } = upload;
  // Check Temporal before storing anything: the images of a start that may have succeeded must stay.
  await dependencies.starter.reach();
  const uploadId = await storeUpload(dependencies, { dataset, label }, files);
  const run = await startIngestion(dependencies, upload, uploadId);
  const reply = accepted(run, dependencies.temporalUrl);
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  await recordChange(dependencies, {
    by: actorOf(request),
    action: 'dataset.upload',
    subject: `datasets/${dataset}`,
    after: { uploadId, label, files: files.length, bytes, runId: run.runId },
  });
  return { ...reply, body: { ...reply.body, upload_id: uploadId, files: files.length, bytes } };
}

async function startIngestion(
  dependencies: UploadIngestion,
  { label, split, ...upload }: Omit<ReceivedUpload, 'files'>,
  uploadId: string,
): Promise<StartedRun> {
  try {
    return await dependencies.starter.startIngestion({
      ...upload,
      source: { kind: 'upload', uploadId, ...(split && { split }) },
      ...(label !== null && { label }),
      trigger: 'manual',
      requestId: randomUUID(),
    });
  } catch (error) {
    if (errorCodeOf(error) !== 'temporal_unavailable') await discardUnused(dependencies, uploadId);
    throw error;
  }
}

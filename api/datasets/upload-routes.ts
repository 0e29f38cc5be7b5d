import type { Request } from 'express';
import { z } from 'zod';
import { existingSplitSchema, labelSchema, nameSchema } from '../../contracts/datasets/datasets.js';
import { uploadAcceptedSchema } from '../../contracts/datasets/http-datasets.js';
import { ingestUpload, type UploadIngestion } from './ingest-upload.js';
import { trainingOf } from './then-train.js';
import { fileFormProblems, receiveFiles } from '../http/body/multipart.js';
import type { UploadQuota } from '../http/body/upload-quota.js';
import { parseRequest } from '../http/problems.js';
import { defineRoute, formBody, json, type Route } from '../http/route.js';
import type { ApiSettings } from '../http/settings.js';

interface Dependencies extends UploadIngestion {
  settings: Pick<ApiSettings, 'maxUploadBytes' | 'uploadFolder' | 'modelName'>;
  uploadQuota: UploadQuota;
}

const maxFiles = 500;
const maxRequestBytes = 1_000_000_000;
const noFile = 'Send at least one image as multipart/form-data in the field “files”.';
const noArchive = 'Send one zip, tar or tar.gz of class folders as multipart/form-data in the field “files”.';

/** What a form sends beside its files. */
const trainingFields = {
  then_train: z
    .enum(['true', 'false'])
    .default('false')
    .transform((value) => value === 'true')
    .describe('retrain a model afterwards, unless it was trained on the resulting version before'),
  model_name: nameSchema.optional().describe('model of `then_train`; default: MODEL_NAME'),
};

const uploadForm = z.object({
  label: labelSchema.describe('the class of all these images'),
  files: z
    .array(z.string().meta({ format: 'binary' }))
    .min(1)
    .max(maxFiles)
    .describe('JPEG, PNG or WebP images; the ingestion reports unusable files'),
  ...trainingFields,
});

const archiveForm = z.object({
  files: z
    .array(z.string().meta({ format: 'binary' }))
    .length(1)
    .describe('a zip, tar or tar.gz of class folders'),
  split: existingSplitSchema.optional(),
  ...trainingFields,
});

/** Uploads images into a dataset: to disk, to the object store, then an ingestion. */
export function uploadRoutes(dependencies: Dependencies): Route[] {
  return [imagesRoute(dependencies), archiveRoute(dependencies)];
}

function imagesRoute(dependencies: Dependencies): Route {
  const { settings, uploadQuota: quota } = dependencies;
  return defineRoute({
    method: 'post',
    path: '/api/v1/datasets/{name}/images',
    operationId: 'uploadImages',
    summary: 'Add images of one class to a dataset',
    tag: 'datasets',
    audit: 'dataset.upload',
    params: z.object({ name: nameSchema }),
    body: formBody(uploadForm, { maxBytes: maxRequestBytes }),
    success: json(uploadAcceptedSchema, 'Stored; the ingestion was started', 202),
    problems: [...fileFormProblems, 'temporal_unavailable'],
    async handle({ params: { name: dataset }, request, response }) {
      const limits = {
        ...{ fileSize: settings.maxUploadBytes, files: maxFiles },
        ...{ fields: 16, fieldSize: 1024, parts: maxFiles + 20 },
      };
      const options = { uploadFolder: settings.uploadFolder, quota, maxBytes: maxRequestBytes, limits, noFile };
      return receiveFiles(request, response, options, (files) => {
        const { label, ...training } = fieldsOf(request, uploadForm.omit({ files: true }));
        const thenTrain = trainingOf(training, settings.modelName);
        return ingestUpload(dependencies, request, { dataset, label, files, ...thenTrain });
      });
    },
  });
}

function archiveRoute(dependencies: Dependencies): Route {
  const { settings, uploadQuota: quota } = dependencies;
  return defineRoute({
    method: 'post',
    path: '/api/v1/datasets/{name}/archives',
    operationId: 'uploadArchive',
    summary: 'Add the images of a zip or tar of class folders to a dataset',
    tag: 'datasets',
    audit: 'dataset.upload',
    params: z.object({ name: nameSchema }),
    body: formBody(archiveForm, { maxBytes: maxRequestBytes }),
    success: json(uploadAcceptedSchema, 'Stored; the ingestion was started', 202),
    problems: [...fileFormProblems, 'temporal_unavailable'],
    async handle({ params: { name: dataset }, request, response }) {
      const limits = { ...{ fileSize: maxRequestBytes, files: 1 }, ...{ fields: 16, fieldSize: 1024, parts: 20 } };
      const { uploadFolder } = settings;
      const options = { uploadFolder, quota, maxBytes: maxRequestBytes, limits, noFile: noArchive };
      return receiveFiles(request, response, options, (files) => {
        const { split, ...training } = fieldsOf(request, archiveForm.omit({ files: true }));
        const thenTrain = trainingOf(training, settings.modelName);
        return ingestUpload(dependencies, request, { dataset, label: null, split, files, ...thenTrain });
      });
    },
  });
}

function fieldsOf<Fields extends z.ZodType>(request: Request, fields: Fields): z.output<Fields> {
  return parseRequest(fields, request.body ?? {}, '#');
}

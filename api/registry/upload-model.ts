import type { Request, Response } from 'express';
import { z } from 'zod';
import { errorCodeOf, PerennialError } from '../../contracts/errors.js';
import { importRunId } from '../../contracts/names.js';
import { importFieldsSchema } from '../../contracts/registry/http-import.js';
import { maxImportBytes, maxImportFiles, type ImportForm, type ImportOrder } from '../../contracts/registry/import.js';
import { requireNoFile } from '../../stores/registry/reported-versions.js';
import { actorOf } from '../access/actor.js';
import { discardUnused } from '../datasets/store-upload.js';
import { receiveFiles, type ReceivedFile } from '../http/body/multipart.js';
import type { UploadQuota } from '../http/body/upload-quota.js';
import { parseRequest } from '../http/problems.js';
import type { StartedRun, PipelineStarter } from '../workflows/pipeline-starter.js';
import {
  contentIdOf,
  hashFiles,
  storeModelUpload,
  type ModelUpload,
  type ModelUploadStores,
} from './store-model-upload.js';
import type { ApiSettings } from '../http/settings.js';
import type { RegistryStore } from '../../stores/registry/registry.js';

export interface UploadDependencies extends ModelUploadStores {
  registry: Pick<RegistryStore, 'resolveAny'>;
  starter: Pick<PipelineStarter, 'reach' | 'startImport'>;
  settings: Pick<ApiSettings, 'datasetName' | 'uploadFolder'>;
  uploadQuota: UploadQuota;
}

const importLimits = {
  ...{ fileSize: maxImportBytes, files: maxImportFiles },
  ...{ fields: 20, fieldSize: 500_000, parts: maxImportFiles + 20 },
};
const noFile =
  'Send the model as multipart/form-data in the field “files”, or JSON: {"run_id"} to register a run, {"model_name", "metrics"} to register a version without a file.';

/** Stores an uploaded model and starts its import. */
export async function registerFiles(
  dependencies: UploadDependencies,
  request: Request,
  response: Response,
): Promise<StartedRun> {
  const { settings, starter, uploadQuota: quota } = dependencies;
  const options = {
    uploadFolder: settings.uploadFolder,
    quota,
    maxBytes: maxImportBytes,
    limits: importLimits,
    noFile,
  };
  return receiveFiles(request, response, options, async (files, folder) => {
    const format = formatOf(files);
    const form = readForm(request.body, settings.datasetName);
    const upload = { form, format, files: await hashFiles(files), by: actorOf(request), folder };
    await requireFillable(dependencies, upload);
    // Check Temporal before storing anything: the files of a start that may have succeeded must stay.
    await starter.reach();
    return startImport(dependencies, upload);
  });
}

/** Checked here as well as in the import, so that a correctable request does not become a failed run. */
async function requireFillable({ registry }: UploadDependencies, upload: ModelUpload): Promise<void> {
  const { fills, modelName } = upload.form;
  if (fills === null) return;
  const version = await registry.resolveAny(modelName, String(fills));
  // The import answers a repeated upload with the version that the first one filled.
  if (version.runId?.startsWith(importRunId(contentIdOf(upload))) !== true) requireNoFile(version);
}

async function startImport(dependencies: UploadDependencies, upload: ModelUpload): Promise<StartedRun> {
  const input = await storeModelUpload(dependencies, upload);
  const discard = (): Promise<void> => discardUnused(dependencies, input.uploadId);
  try {
    const run = await dependencies.starter.startImport(input);
    // The running import has its own copy of the same files.
    if (run.joined) await discard();
    return run;
  } catch (error) {
    if (errorCodeOf(error) !== 'temporal_unavailable') await discard();
    throw error;
  }
}

const weightFile = /^(group\d+-shard\d+of\d+|[\w-][\w.-]*\.bin)$/;

/** The model format, by the file names. Throws `unsupported_type`, `bad_request`. */
function formatOf(files: readonly ReceivedFile[]): ImportOrder['format'] {
  const names = files.map(({ name }) => name);
  const [first = ''] = names;
  if (new Set(names).size < names.length) throw new PerennialError('bad_request', 'Two files have the same name.');
  if (names.length === 1 && /\.onnx$/i.test(first)) return 'onnx';
  const other = names.find((name) => name !== 'model.json' && !weightFile.test(name));
  if (other === undefined && names.includes('model.json')) return 'tfjs';
  if (other === undefined) {
    throw new PerennialError('bad_request', 'model.json is missing. Send it together with its weight files.');
  }
  throw new PerennialError(
    'unsupported_type',
    `${other.slice(0, 100)} is not taken${names.length > 1 ? ' together with other files' : ''}. Send one .onnx file, or model.json with its .bin files, not in an archive.`,
  );
}

function readForm(body: unknown, ownDataset: string): ImportForm {
  const fields = { ...z.record(z.string(), z.unknown()).catch({}).parse(body) };
  const { model_name, dataset, preprocessing, tags, licence, semantic_version, version, ...same } = parseRequest(
    importFieldsSchema,
    fields,
    '#',
  );
  return {
    ...same,
    modelName: model_name,
    dataset: dataset ?? ownDataset,
    scaling: preprocessing ?? null,
    tags: tags ?? {},
    licence: licence ?? null,
    semanticVersion: semantic_version ?? null,
    fills: version ?? null,
  };
}

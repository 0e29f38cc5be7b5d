import type { Request, Response } from 'express';
import { z } from 'zod';
import { errorCodeOf, PerennialError } from '../../contracts/errors.js';
import { importFieldsSchema, importFormViewSchema, registerRunSchema } from '../../contracts/registry/http-import.js';
import { modelVersionViewSchema } from '../../contracts/registry/http-versions.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { maxImportBytes, maxImportFiles, type ImportForm, type ImportOrder } from '../../contracts/registry/import.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import { actorOf } from '../access/actor.js';
import { storeModelUpload, type ModelUpload } from './store-model-upload.js';
import { discardUnused } from '../datasets/store-upload.js';
import { receiveFiles, type ReceivedFile } from '../http/body/multipart.js';
import type { UploadQuota } from '../http/body/upload-quota.js';
import type { StartedRun, PipelineStarter } from '../workflows/pipeline-starter.js';
import { parseRequest } from '../http/problems.js';
import { defineRoute, formOrJsonBody, json, type Route } from '../http/route.js';
import { modelVersionView } from './version-view.js';
import { accepted } from '../workflows/accepted.js';
import type { ApiSettings } from '../http/settings.js';
import type { Logger } from '../../platform/logging.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { RunStore } from '../../stores/experiments/runs.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';
import type { UploadStore } from '../../stores/datasets/uploads.js';

interface Dependencies {
  registry: Pick<RegistryStore, 'edit' | 'ofRun'>;
  runs: Pick<RunStore, 'get'>;
  uploads: Pick<UploadStore, 'createUpload' | 'addUploadFile' | 'markDiscarded'>;
  objects: Pick<ObjectStore, 'putFile' | 'deletePrefix'>;
  starter: Pick<PipelineStarter, 'reach' | 'startImport'>;
  temporalUrl: TemporalUrl;
  settings: Pick<ApiSettings, 'datasetName' | 'uploadFolder'>;
  uploadQuota: UploadQuota;
  logger: Logger;
}

/** Registration of models: from a finished run, or from files made elsewhere. */
export function registerRoutes(dependencies: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'post',
      path: '/api/v1/mlops/models/register',
      operationId: 'registerModel',
      summary: 'Register a finished run, or check, evaluate and register an uploaded ONNX or TF.js model',
      tag: 'models',
      audit: 'version.register',
      body: formOrJsonBody(importFormViewSchema, registerRunSchema, { maxBytes: maxImportBytes }),
      success: {
        ...json(
          z.union([modelVersionViewSchema, acceptedSchema]),
          'The version of the run; for uploaded files 202 with the started import',
        ),
        otherStatuses: [202],
      },
      problems: [
        'bad_request',
        'no_file',
        'not_found',
        'conflict',
        'too_large',
        'unsupported_type',
        'overloaded',
        'insufficient_storage',
        'temporal_unavailable',
        'object_store_unavailable',
        'object_store_refused',
        'database_unavailable',
      ],
      async handle({ body, request, response }) {
        if (body) return { body: modelVersionView(await registerRun(dependencies, body, request)) };
        const run = await registerFiles(dependencies, request, response);
        return { ...accepted(run, dependencies.temporalUrl), status: 202 };
      },
    }),
  ];
}

/** The version of a run, with the given edits applied. Throws `not_found`, `conflict`. */
async function registerRun(
  { registry, runs }: Dependencies,
  body: z.output<typeof registerRunSchema>,
  request: Request,
): Promise<ModelVersion> {
  const { run_id: runId, model_name: modelName, description, tags, semantic_version: semanticVersion } = body;
  const made = await registry.ofRun(runId);
  if (made === null) throw unregistered(runId, await runs.get(runId));
  if (modelName !== undefined && modelName !== made.modelName) {
    throw new PerennialError(
      'conflict',
      `Run ${runId} trained ${made.modelName}, so it cannot be registered as ${modelName}.`,
    );
  }
  const change = { description, tags, semanticVersion };
  // Also without changes: the edit fails if the version was deleted.
  return registry.edit(made.modelName, made.version, change, { by: actorOf(request), ifRevision: null });
}

function unregistered(runId: string, run: Awaited<ReturnType<Dependencies['runs']['get']>>): PerennialError {
  switch (run?.status) {
    case undefined:
      return new PerennialError('not_found', `There is no run ${runId}; GET /api/v1/experiments lists all runs.`);
    case 'running':
      return new PerennialError(
        'conflict',
        `Run ${runId} is running. It is registered automatically when it completes.`,
      );
    case 'failed':
    case 'cancelled':
      return new PerennialError(
        'conflict',
        `Run ${runId} has ${run.status} and has no model (${run.error?.message ?? 'no reason was recorded'}). Train again: POST /api/v1/pipelines/retraining.`,
      );
    case 'completed':
      return new PerennialError(
        'conflict',
        `Run ${runId} was a trial, which stores no model. Train with its hyperparameters: POST /api/v1/pipelines/retraining.`,
      );
  }
}

const importLimits = {
  ...{ fileSize: maxImportBytes, files: maxImportFiles },
  ...{ fields: 20, fieldSize: 500_000, parts: maxImportFiles + 20 },
};
const noFile = 'Send the model as multipart/form-data in the field “files”, or {"run_id"} as JSON to register a run.';

async function registerFiles(dependencies: Dependencies, request: Request, response: Response): Promise<StartedRun> {
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
    const upload = { form: readForm(request.body, settings.datasetName), format, files, by: actorOf(request), folder };
    // Check Temporal before storing anything: the files of a start that may have succeeded must stay.
    await starter.reach();
    return startImport(dependencies, upload);
  });
}

async function startImport(dependencies: Dependencies, upload: ModelUpload): Promise<StartedRun> {
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
  const { model_name, dataset, preprocessing, tags, licence, semantic_version, ...same } = parseRequest(
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
  };
}

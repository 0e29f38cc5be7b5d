import type { Request } from 'express';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { importFormViewSchema, registerRunSchema, reportVersionSchema } from '../../contracts/registry/http-import.js';
import { modelVersionViewSchema } from '../../contracts/registry/http-versions.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { maxImportBytes } from '../../contracts/registry/import.js';
import type { RegisteredVersion } from '../../contracts/registry/registry.js';
import { nextSemanticVersion } from '../../domain/registry/semantic-version.js';
import { actorOf } from '../access/actor.js';
import { fileFormProblems } from '../http/body/multipart.js';
import { idempotencyKeyOf } from '../http/idempotency-key.js';
import { defineRoute, formOrJsonBody, json, type Route } from '../http/route.js';
import { modelVersionView } from './version-view.js';
import { registerFiles, type UploadDependencies } from './upload-model.js';
import { accepted } from '../workflows/accepted.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { RunStore } from '../../stores/experiments/runs.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';

interface Dependencies extends UploadDependencies {
  registry: Pick<RegistryStore, 'edit' | 'ofRun' | 'remeasurements' | 'report'> & UploadDependencies['registry'];
  runs: Pick<RunStore, 'get'>;
  temporalUrl: TemporalUrl;
}

/** Registration of models: from a finished run, from files made elsewhere, or without a file. */
export function registerRoutes(dependencies: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'post',
      path: '/api/v1/mlops/models/register',
      operationId: 'registerModel',
      summary: 'Register a finished run, an uploaded ONNX or TF.js model after checking it, or reported metrics',
      tag: 'models',
      audit: 'version.register',
      body: formOrJsonBody(importFormViewSchema, z.union([reportVersionSchema, registerRunSchema]), {
        maxBytes: maxImportBytes,
      }),
      success: {
        ...json(
          z.union([modelVersionViewSchema, acceptedSchema]),
          'The version of the run, or one without a file per Idempotency-Key; for uploaded files 202 with the started import',
        ),
        otherStatuses: [202],
      },
      problems: [...fileFormProblems, 'not_found', 'conflict', 'temporal_unavailable'],
      async handle({ body, request, response }) {
        if (body) {
          const version =
            'run_id' in body ? registerRun(dependencies, body, request) : report(dependencies, body, request);
          return { body: await modelVersionView(dependencies.registry, await version) };
        }
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
): Promise<RegisteredVersion> {
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

/** A version without a file. The same Idempotency-Key makes one. Throws `conflict`. */
function report(
  { registry }: Dependencies,
  { model_name: modelName, semantic_version: semanticVersion, ...told }: z.output<typeof reportVersionSchema>,
  request: Request,
): Promise<RegisteredVersion> {
  return registry.report({
    ...told,
    modelName,
    semanticVersion: semanticVersion ?? nextSemanticVersion,
    idempotencyKey: idempotencyKeyOf(request),
    by: actorOf(request),
  });
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

import { basename } from 'node:path';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { artifactViewSchema } from '../../contracts/experiments/http-experiments.js';
import { pageOf } from '../../contracts/http/page.js';
import { defineRoute, json, text, type Route } from '../http/route.js';
import { contentTypeOf } from '../http/content-type.js';
import { sendObject } from '../http/send.js';
import { artifactView } from './run-view.js';
import { runOf, runParams, runPath } from './run-routes.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { RunDetailStore } from '../../stores/experiments/run-details.js';
import type { RunStore } from '../../stores/experiments/runs.js';

interface Dependencies {
  runDetails: RunDetailStore;
  runs: Pick<RunStore, 'artifacts'>;
  objects: Pick<ObjectStore, 'open'>;
}

/** Artefacts of runs. */
export function runArtifactRoutes(dependencies: Dependencies): Route[] {
  return [listRoute(dependencies), fileRoute(dependencies)];
}

function listRoute({ runDetails, runs }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: `${runPath}/artifacts`,
    operationId: 'listRunArtifacts',
    summary: 'Artefacts of a run, by name',
    tag: 'experiments',
    params: runParams,
    success: json(pageOf(artifactViewSchema), 'All artefacts of the run'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    async handle({ params }) {
      const run = await runOf(runDetails, params);
      const artifacts = await runs.artifacts(run.runId);
      return { body: { items: artifacts.map((artifact) => artifactView(run, artifact)), next_page_token: null } };
    },
  });
}

function fileRoute({ runDetails, runs, objects }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: `${runPath}/artifacts/{name}`,
    operationId: 'getRunArtifact',
    summary: 'An artefact of a run; write a slash in its name as %2F',
    tag: 'experiments',
    params: runParams.extend({ name: z.string().max(500) }),
    success: text('application/octet-stream', 'The file, with its own content type'),
    problems: ['bad_request', 'not_found', 'database_unavailable', 'object_store_unavailable'],
    async handle({ params, request, response }) {
      const { runId } = await runOf(runDetails, params);
      const artifact = (await runs.artifacts(runId)).find(({ name }) => name === params.name);
      if (!artifact) throw new PerennialError('not_found', `Run ${runId} has no artefact ${params.name}.`);
      const headers = {
        ETag: `"${artifact.sha256}"`,
        'Cache-Control': 'private, no-cache',
        'Content-Type': contentTypeOf(artifact.name),
        'Content-Length': String(artifact.sizeBytes),
        'Content-Disposition': `inline; filename*=UTF-8''${encodeURIComponent(basename(artifact.name))}`,
      };
      await sendObject(request, response, headers, () => objects.open(artifact.objectKey));
      return { body: '' };
    },
  });
}

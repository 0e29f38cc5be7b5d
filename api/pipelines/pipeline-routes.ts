import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { nameSchema } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { pipelineViewSchema } from '../../contracts/pipelines/http-pipelines.js';
import { startIngestionSchema } from '../../contracts/datasets/http-datasets.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { pageOf } from '../../contracts/http/page.js';
import { workflowTypes } from '../../contracts/names.js';
import { runStatuses } from '../../contracts/workflows/runs.js';
import { stepOfActivity } from '../../domain/step-of-activity.js';
import type { StorageGuard } from '../../platform/storage-guard.js';
import type { SourceStore } from '../../stores/datasets/sources.js';
import type { AttemptStore } from '../../stores/pipelines/attempts.js';
import type { PipelineRecord, PipelineStore } from '../../stores/pipelines/pipelines.js';
import { actorOf } from '../access/actor.js';
import { recordChange } from '../audit/record-change.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import { requireAttached } from '../datasets/require-attached.js';
import { checkSource } from '../datasets/check-source.js';
import { pipelineView } from './pipeline-view.js';
import { trainingOf } from '../datasets/then-train.js';
import { accepted, recordStart } from '../workflows/accepted.js';
import { startRetrainingRoute, type OrderDependencies } from '../retraining/retraining-routes.js';
import type { AuditStore } from '../../stores/audit/audit.js';
import type { Logger } from '../../platform/logging.js';
import type { PipelineStarter } from '../workflows/pipeline-starter.js';

export interface Dependencies extends OrderDependencies {
  starter: Pick<PipelineStarter, 'cancel' | 'startIngestion'>;
  pipelines: Pick<PipelineStore, 'get' | 'list'>;
  sources: Pick<SourceStore, 'get'>;
  attempts: Pick<AttemptStore, 'waiting'>;
  storage: Pick<StorageGuard, 'state'>;
  audit: AuditStore;
  logger: Logger;
}

const limit = { maxBytes: 100_000 };
const runParams = z.object({ run_id: z.string().max(200) });
const listQuery = pageQuery.extend({
  status: z.enum(runStatuses).optional(),
  workflow: z
    .enum([
      workflowTypes.ingestDataset,
      workflowTypes.retrainingPipeline,
      workflowTypes.tuneModel,
      workflowTypes.importModel,
      workflowTypes.applyRetention,
      workflowTypes.promoteModel,
      workflowTypes.validateModel,
      workflowTypes.batchPredict,
    ])
    .optional(),
  model: nameSchema.optional(),
});

/** Pipeline runs: list, start, cancel. */
export function pipelineRoutes(dependencies: Dependencies): Route[] {
  return [...startRoutes(dependencies), ...recordRoutes(dependencies), cancelRoute(dependencies)];
}

function startRoutes(dependencies: Dependencies): Route[] {
  const { starter, temporalUrl, settings } = dependencies;
  return [
    defineRoute({
      method: 'post',
      path: '/api/v1/pipelines/ingestion',
      operationId: 'startIngestion',
      summary: 'Ingest images into a dataset',
      tag: 'pipelines',
      audit: 'pipeline.start',
      body: jsonBody(startIngestionSchema, limit),
      success: json(acceptedSchema, 'Started, or joined the one under way', 202),
      problems: [
        'bad_request',
        'unsupported_type',
        'not_found',
        'conflict',
        'source_not_allowed',
        'source_layout',
        'split_undecided',
        'insufficient_storage',
        'temporal_unavailable',
        'database_unavailable',
      ],
      async handle({ body: { dataset = settings.datasetName, source, replaces, ...training }, request }) {
        await checkSource(source, settings.sourceFolders);
        if (replaces !== undefined) await requireAttached(dependencies.sources, dataset, replaces);
        const thenTrain = trainingOf(training, settings.modelName);
        const replacing = replaces !== undefined && { replaces };
        const input = { dataset, source, trigger: 'manual', ...replacing, ...thenTrain } as const;
        const run = await starter.startIngestion({ ...input, requestId: randomUUID() });
        await recordStart(dependencies, request, run, input);
        return accepted(run, temporalUrl);
      },
    }),
    startRetrainingRoute(dependencies),
  ];
}

function recordRoutes(dependencies: Dependencies): Route[] {
  const { pipelines, temporalUrl } = dependencies;
  return [
    defineRoute({
      method: 'get',
      path: '/api/v1/pipelines',
      operationId: 'listPipelines',
      summary: 'Runs, newest first',
      tag: 'pipelines',
      query: listQuery,
      success: json(pageOf(pipelineViewSchema), 'A page of runs'),
      problems: ['bad_request', 'database_unavailable'],
      async handle({ query: { limit: size, page_token, status, workflow, model } }) {
        const page = await pipelines.list({
          limit: size,
          pageToken: page_token ?? null,
          ...(status !== undefined && { status }),
          ...(workflow !== undefined && { workflow }),
          ...(model !== undefined && { modelName: model }),
        });
        const items = page.items.map((record) => pipelineView(record, temporalUrl));
        return { body: { items, next_page_token: page.nextPageToken } };
      },
    }),
    defineRoute({
      method: 'get',
      path: '/api/v1/pipelines/{run_id}',
      operationId: 'getPipeline',
      summary: 'A run with its steps',
      tag: 'pipelines',
      params: runParams,
      success: json(pipelineViewSchema, 'The run'),
      problems: ['not_found', 'database_unavailable'],
      handle: async ({ params }) => ({
        body: pipelineView(await withWaiting(dependencies, await runOf(pipelines, params.run_id)), temporalUrl),
        headers: { 'Cache-Control': 'no-store' },
      }),
    }),
  ];
}

function cancelRoute(dependencies: Dependencies): Route {
  const { starter, pipelines, temporalUrl } = dependencies;
  return defineRoute({
    method: 'post',
    path: '/api/v1/pipelines/{run_id}/cancel',
    operationId: 'cancelPipeline',
    summary: 'Cancel a run; it cleans up first',
    tag: 'pipelines',
    audit: 'pipeline.cancel',
    params: runParams,
    success: json(pipelineViewSchema, 'Cancellation requested', 202),
    problems: ['not_found', 'conflict', 'temporal_unavailable', 'database_unavailable'],
    async handle({ params, request }) {
      const record = await runOf(pipelines, params.run_id);
      if (record.status !== 'running') {
        throw new PerennialError('conflict', `The run has ended (${record.status}), so it cannot be cancelled.`);
      }
      await starter.cancel({ workflowId: record.workflowId, runId: record.id });
      await recordChange(dependencies, {
        by: actorOf(request),
        action: 'pipeline.cancel',
        subject: `pipelines/${record.id}`,
        before: { status: record.status },
        after: { asked: 'cancel' },
      });
      return { body: pipelineView(record, temporalUrl) };
    },
  });
}

/** Shows in the running step that an activity waits for disk space. Looks only while this machine has too little of it. */
async function withWaiting(
  { attempts, storage }: Pick<Dependencies, 'attempts' | 'storage'>,
  record: PipelineRecord,
): Promise<PipelineRecord> {
  if (record.status !== 'running' || (await storage.state()).shortage === null) return record;
  const waiting = await attempts.waiting(record.id);
  if (!waiting?.error) return record;
  const name = stepOfActivity(record, waiting);
  const detail = `waits: ${waiting.error.message}`;
  const steps = record.steps.map((step) =>
    step.name === name && step.status === 'running' ? { ...step, detail } : step,
  );
  return { ...record, steps };
}

async function runOf(pipelines: Dependencies['pipelines'], runId: string): Promise<PipelineRecord> {
  const record = await pipelines.get(runId);
  if (record) return record;
  throw new PerennialError('not_found', `There is no run ${runId}; GET /api/v1/pipelines lists them.`);
}

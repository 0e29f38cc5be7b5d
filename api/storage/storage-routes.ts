import { toSnake, type CamelInput } from '../../contracts/http/snake-shape.js';
import { orphanStep, workflowTypes } from '../../contracts/names.js';
import { storageViewSchema } from '../../contracts/storage/http-storage.js';
import { retentionResultSchema } from '../../contracts/retraining/schedules.js';
import type { PipelineStore } from '../../stores/pipelines/pipelines.js';
import { defineRoute, json, type Route } from '../http/route.js';
import type { StorageMeter } from './storage-meter.js';

interface Dependencies {
  storageMeter: Pick<StorageMeter, 'latest'>;
  pipelines: Pick<PipelineStore, 'list'>;
}

/** Space in use. */
export function storageRoutes({ storageMeter, pipelines }: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: '/api/v1/storage',
      operationId: 'getStorage',
      summary: 'Space in use by kind, measured at most every five minutes',
      tag: 'administration',
      success: json(storageViewSchema, 'The last measurement'),
      problems: ['database_unavailable'],
      async handle() {
        const [measurement, orphans] = await Promise.all([storageMeter.latest(), lastOrphans(pipelines)]);
        const totalBytes = measurement.items.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
        const measuredAt = measurement.measuredAt.toISOString();
        return { body: toSnake(storageViewSchema, { ...measurement, totalBytes, measuredAt, orphans }) };
      },
    }),
  ];
}

/** What the last completed retention found; a run of an earlier release did not look for orphans. */
async function lastOrphans(
  pipelines: Dependencies['pipelines'],
): Promise<CamelInput<typeof storageViewSchema>['orphans']> {
  const { applyRetention: workflow } = workflowTypes;
  const [run] = (await pipelines.list({ limit: 1, workflow, status: 'completed' })).items;
  const { data: result } = retentionResultSchema.safeParse(run?.result);
  if (!run || result?.removed[orphanStep] === undefined) return null;
  return {
    runId: run.id,
    foundAt: run.endedAt ?? run.startedAt,
    dryRun: result.dryRun,
    items: result.orphans,
  };
}

import type { z } from 'zod';
import type { pipelineSchema } from '../../contracts/http.js';
import type { PipelineRecord } from '../../stores/pipelines.js';

/** Address of a run in the Temporal Web UI, or null when no UI is known. */
export type TemporalUrl = (workflowId: string, runId: string) => string | null;

/** Makes addresses below `uiUrl`, for the namespace the runs are in. */
export function createTemporalUrl(uiUrl: string | undefined, namespace: string): TemporalUrl {
  if (uiUrl === undefined) return () => null;
  const base = `${uiUrl.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows`;
  return (workflowId, runId) => `${base}/${encodeURIComponent(workflowId)}/${encodeURIComponent(runId)}/history`;
}

/** A run of a workflow in the spelling of HTTP. */
export function pipelineView(record: PipelineRecord, temporalUrl: TemporalUrl): z.input<typeof pipelineSchema> {
  return {
    id: record.id,
    workflow_id: record.workflowId,
    workflow: record.workflow,
    status: record.status,
    trigger: record.trigger,
    model_name: record.modelName,
    dataset: record.dataset,
    started_at: record.startedAt,
    ended_at: record.endedAt,
    steps: record.steps.map(({ name, status, detail, startedAt, endedAt }) => ({
      name,
      status,
      detail,
      started_at: startedAt,
      ended_at: endedAt,
    })),
    result: record.result,
    error: record.error,
    temporal_url: temporalUrl(record.workflowId, record.id),
  };
}

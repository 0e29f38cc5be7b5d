import type { z } from 'zod';
import type {
  ImportResultView,
  IngestionResultView,
  pipelineViewSchema,
  RetrainingResultView,
} from '../../contracts/http-records.js';
import { importResultSchema, type ImportResult } from '../../contracts/import.js';
import { workflowTypes } from '../../contracts/names.js';
import {
  ingestionResultSchema,
  retrainingResultSchema,
  type IngestionResult,
  type RetrainingResult,
} from '../../contracts/pipelines.js';
import { tuningResultSchema } from '../../contracts/tuning.js';
import type { TuningResultView } from '../../contracts/http-tuning.js';
import type { PipelineRecord } from '../../stores/pipelines.js';
import { statisticsView } from './dataset.js';
import { decisionView, evaluationView } from './model-version.js';
import { tuningView } from './search.js';

/** Address of a run in the Temporal Web UI, or null when no UI is known. */
export type TemporalUrl = (workflowId: string, runId: string) => string | null;

/** Makes addresses below `uiUrl`, for the namespace the runs are in. */
export function createTemporalUrl(uiUrl: string | undefined, namespace: string): TemporalUrl {
  if (uiUrl === undefined) return () => null;
  const base = `${uiUrl.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows`;
  return (workflowId, runId) => `${base}/${encodeURIComponent(workflowId)}/${encodeURIComponent(runId)}/history`;
}

/** A run of a workflow in the spelling of HTTP. */
export function pipelineView(record: PipelineRecord, temporalUrl: TemporalUrl): z.input<typeof pipelineViewSchema> {
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
    result: resultView(record),
    error: record.error,
    temporal_url: temporalUrl(record.workflowId, record.id),
  };
}

/** The result in the spelling of HTTP; null while there is none, and for one that another release wrote. */
function resultView({
  workflow,
  result,
}: PipelineRecord): RetrainingResultView | IngestionResultView | TuningResultView | ImportResultView | null {
  if (workflow === workflowTypes.retrainingPipeline) {
    const retraining = retrainingResultSchema.safeParse(result);
    return retraining.success ? retrainingView(retraining.data) : null;
  }
  if (workflow === workflowTypes.tuneModel) {
    const tuning = tuningResultSchema.safeParse(result);
    return tuning.success ? tuningView(tuning.data) : null;
  }
  if (workflow === workflowTypes.importModel) {
    const imported = importResultSchema.safeParse(result);
    return imported.success ? importView(imported.data) : null;
  }
  const ingestion = ingestionResultSchema.safeParse(result);
  return ingestion.success ? ingestionView(ingestion.data) : null;
}

function retrainingView(result: RetrainingResult): RetrainingResultView {
  const { modelName, version, runId, datasetVersion, test, decision, ...same } = result;
  return {
    ...same,
    model_name: modelName,
    version: String(version),
    run_id: runId,
    dataset_version: datasetVersion,
    test: evaluationView(test),
    decision: decisionView(decision),
  };
}

function importView(result: ImportResult): ImportResultView {
  const { modelName, version, isNewVersion, runId, datasetVersion, test, ...same } = result;
  return {
    ...same,
    model_name: modelName,
    version: String(version),
    is_new_version: isNewVersion,
    run_id: runId,
    dataset_version: datasetVersion,
    test: evaluationView(test),
  };
}

function ingestionView(result: IngestionResult): IngestionResultView {
  const { isNewVersion, newImages, uploadedBytes, statistics, ...same } = result;
  return {
    ...same,
    is_new_version: isNewVersion,
    new_images: newImages,
    uploaded_bytes: uploadedBytes,
    statistics: statisticsView(statistics),
  };
}

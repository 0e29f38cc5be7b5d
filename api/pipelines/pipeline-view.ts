import type { z } from 'zod';
import type { pipelineViewSchema } from '../../contracts/pipelines/http-pipelines.js';
import type { PromotionResultView } from '../../contracts/promotion/http-promotions.js';
import type { ImportResultView } from '../../contracts/registry/http-import.js';
import type { RetrainingResultView } from '../../contracts/retraining/http-retraining.js';
import type { IngestionResultView } from '../../contracts/datasets/http-datasets.js';
import { importResultSchema, type ImportResult } from '../../contracts/registry/import.js';
import { batchResultSchema } from '../../contracts/batch-predictions/batch-predictions.js';
import { workflowTypes } from '../../contracts/names.js';
import { retrainingResultSchema, type RetrainingResult } from '../../contracts/retraining/retraining-pipeline.js';
import { promotionResultSchema, type PromotionResult } from '../../contracts/promotion/promotion-pipeline.js';
import { ingestionResultSchema, type IngestionResult } from '../../contracts/datasets/ingestion.js';
import { decisionSchema } from '../../contracts/registry/registry.js';
import { retentionResultSchema } from '../../contracts/retraining/schedules.js';
import { tuningResultSchema } from '../../contracts/experiments/tuning.js';
import type { PipelineRecord } from '../../stores/pipelines/pipelines.js';
import { batchResultView } from '../batch-predictions/batch-view.js';
import { statisticsView } from '../datasets/dataset-view.js';
import { decisionView, evaluationView } from '../registry/version-view.js';
import { tuningView } from '../experiments/search-view.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';

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

type ResultView = z.input<typeof pipelineViewSchema>['result'];

/** The result in the spelling of HTTP; null while there is none, and for one that another release wrote. */
function resultView({ workflow, result }: PipelineRecord): ResultView {
  switch (workflow) {
    case workflowTypes.retrainingPipeline:
      return shown(retrainingResultSchema, result, retrainingView);
    case workflowTypes.tuneModel:
      return shown(tuningResultSchema, result, tuningView);
    case workflowTypes.importModel:
      return shown(importResultSchema, result, importView);
    case workflowTypes.promoteModel:
      return shown(promotionResultSchema, result, promotionView);
    case workflowTypes.validateModel:
      return shown(decisionSchema, result, decisionView);
    case workflowTypes.batchPredict:
      return shown(batchResultSchema, result, batchResultView);
    case workflowTypes.applyRetention:
      return shown(retentionResultSchema, result, ({ dryRun, removed }) => ({ dry_run: dryRun, removed }));
    default:
      return shown(ingestionResultSchema, result, ingestionView);
  }
}

function shown<S extends z.ZodType>(schema: S, result: unknown, view: (result: z.output<S>) => ResultView): ResultView {
  const parsed = schema.safeParse(result);
  return parsed.success ? view(parsed.data) : null;
}

function promotionView({ formerVersion, version, ...same }: PromotionResult): PromotionResultView {
  return {
    ...same,
    version: String(version),
    former_version: formerVersion === null ? null : String(formerVersion),
  };
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

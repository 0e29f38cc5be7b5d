import type { z } from 'zod';
import { batchResultSchema } from '../../contracts/batch-predictions/batch-predictions.js';
import { ingestionResultViewSchema } from '../../contracts/datasets/http-datasets.js';
import { ingestionResultSchema } from '../../contracts/datasets/ingestion.js';
import { tuningResultSchema } from '../../contracts/experiments/tuning.js';
import { toSnake } from '../../contracts/http/snake-shape.js';
import { workflowTypes } from '../../contracts/names.js';
import { pipelineViewSchema } from '../../contracts/pipelines/http-pipelines.js';
import { promotionResultViewSchema } from '../../contracts/promotion/http-promotions.js';
import { promotionResultSchema } from '../../contracts/promotion/promotion-pipeline.js';
import { importResultViewSchema } from '../../contracts/registry/http-import.js';
import { decisionViewSchema } from '../../contracts/registry/http-versions.js';
import { importResultSchema } from '../../contracts/registry/import.js';
import { decisionSchema } from '../../contracts/registry/registry.js';
import { retrainingResultViewSchema } from '../../contracts/retraining/http-retraining.js';
import { retentionResultViewSchema } from '../../contracts/retraining/http-schedules.js';
import { retrainingResultSchema } from '../../contracts/retraining/retraining-pipeline.js';
import { retentionResultSchema } from '../../contracts/retraining/schedules.js';
import type { PipelineRecord } from '../../stores/pipelines/pipelines.js';
import { batchResultView } from '../batch-predictions/batch-view.js';
import { tuningView } from '../experiments/search-view.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';

/** A run of a workflow as JSON. */
export function pipelineView(record: PipelineRecord, temporalUrl: TemporalUrl): z.input<typeof pipelineViewSchema> {
  return toSnake(pipelineViewSchema, {
    ...record,
    result: resultView(record),
    temporalUrl: temporalUrl(record.workflowId, record.id),
  });
}

type ResultView = z.input<typeof pipelineViewSchema>['result'];

/** The result as JSON; null while there is none, and for one that another release wrote. */
function resultView({ workflow, result }: PipelineRecord): ResultView {
  switch (workflow) {
    case workflowTypes.retrainingPipeline:
      return shown(retrainingResultSchema, result, (each) => toSnake(retrainingResultViewSchema, each));
    case workflowTypes.tuneModel:
      return shown(tuningResultSchema, result, tuningView);
    case workflowTypes.importModel:
      return shown(importResultSchema, result, (each) => toSnake(importResultViewSchema, each));
    case workflowTypes.promoteModel:
      return shown(promotionResultSchema, result, (each) => toSnake(promotionResultViewSchema, each));
    case workflowTypes.validateModel:
      return shown(decisionSchema, result, (each) => toSnake(decisionViewSchema, each));
    case workflowTypes.batchPredict:
      return shown(batchResultSchema, result, batchResultView);
    case workflowTypes.applyRetention:
      return shown(retentionResultSchema, result, (each) => toSnake(retentionResultViewSchema, each));
    default:
      return shown(ingestionResultSchema, result, (each) => toSnake(ingestionResultViewSchema, each));
  }
}

function shown<S extends z.ZodType>(schema: S, result: unknown, view: (result: z.output<S>) => ResultView): ResultView {
  const parsed = schema.safeParse(result);
  return parsed.success ? view(parsed.data) : null;
}

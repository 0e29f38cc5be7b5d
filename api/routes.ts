import type { ApiDependencies } from './dependencies.js';
import { createExplanations } from './explanations.js';
import { createMemoryBudget } from './middleware/limit-body.js';
import { buildOpenApiDocument } from './openapi.js';
import type { Route } from './route.js';
import { auditRoutes } from './routes/audit.js';
import { approvalRoutes } from './routes/approvals.js';
import { batchPredictionRoutes } from './routes/batch-predictions.js';
import { calibrationRoutes } from './routes/calibration.js';
import { explainRoutes } from './routes/explain.js';
import { imageRoutes } from './routes/images.js';
import { labelRoutes } from './routes/labels.js';
import { v2Routes } from './routes/v2.js';
import { datasetRoutes } from './routes/datasets.js';
import { documentationRoutes } from './routes/documentation.js';
import { experimentRunRoutes } from './routes/experiment-runs.js';
import { experimentRoutes } from './routes/experiments.js';
import { erasureRoutes } from './routes/erasures.js';
import { feedbackRoutes } from './routes/feedback.js';
import { healthRoutes } from './routes/health.js';
import { invocationRoutes } from './routes/invocations.js';
import { modelRegistryRoutes } from './routes/model-registry.js';
import { modelVersionRoutes } from './routes/model-versions.js';
import { lineageRoutes } from './routes/lineage.js';
import { modelRoutes } from './routes/models.js';
import { notificationRoutes } from './routes/notifications.js';
import { pipelineAttemptRoutes } from './routes/pipeline-attempts.js';
import { pipelineRoutes } from './routes/pipelines.js';
import { policyRoutes } from './routes/policies.js';
import { predictBatchRoutes } from './routes/predict-batch.js';
import { predictionRoutes } from './routes/prediction.js';
import { predictionHistoryRoutes } from './routes/predictions.js';
import { runArtifactRoutes } from './routes/run-artifacts.js';
import { promotionRoutes } from './routes/promotions.js';
import { registerRoutes } from './routes/register.js';
import { retentionRoutes } from './routes/retention.js';
import { retrainingRoutes } from './routes/retraining.js';
import { scheduleRoutes } from './routes/schedules.js';
import { tuningRoutes } from './routes/tuning.js';
import { uploadRoutes } from './routes/uploads.js';

/** Bytes of images and tensors that may be in memory at once, over all requests. */
const memoryBudgetBytes = 256_000_000;

/** The one table of routes: the application is mounted from it and the OpenAPI document describes it. */
export function createRoutes(dependencies: ApiDependencies): { routes: readonly Route[]; document: object } {
  const budget = createMemoryBudget(memoryBudgetBytes);
  const explanations = createExplanations(dependencies);
  let document: object = {};
  const routes = [
    ...documentationRoutes(() => document),
    ...healthRoutes(dependencies),
    ...predictionRoutes(dependencies, explanations, budget),
    ...predictBatchRoutes(dependencies, budget),
    ...invocationRoutes(dependencies, budget),
    ...v2Routes(dependencies, budget),
    ...explainRoutes(dependencies, explanations),
    ...batchPredictionRoutes(dependencies),
    ...modelRoutes(dependencies),
    ...registerRoutes(dependencies),
    ...modelRegistryRoutes(dependencies),
    ...promotionRoutes(dependencies),
    ...approvalRoutes(dependencies),
    ...policyRoutes(dependencies),
    ...modelVersionRoutes(dependencies),
    ...calibrationRoutes(dependencies),
    ...predictionHistoryRoutes(dependencies),
    ...feedbackRoutes(dependencies),
    ...labelRoutes(dependencies),
    ...lineageRoutes(dependencies),
    ...erasureRoutes(dependencies),
    ...experimentRoutes(dependencies),
    ...experimentRunRoutes(dependencies),
    ...runArtifactRoutes(dependencies),
    // Before the runs themselves: `tuning` would be taken for the id of one.
    ...tuningRoutes(dependencies),
    ...retentionRoutes(dependencies),
    ...pipelineRoutes(dependencies),
    ...pipelineAttemptRoutes(dependencies),
    ...retrainingRoutes(dependencies),
    ...scheduleRoutes(dependencies),
    ...datasetRoutes(dependencies),
    ...imageRoutes(dependencies),
    ...uploadRoutes(dependencies),
    ...notificationRoutes(dependencies),
    ...auditRoutes(dependencies),
  ];
  document = buildOpenApiDocument(routes, dependencies.settings.version);
  return { routes, document };
}

import type { ApiDependencies } from './dependencies.js';
import { createExplanations } from './inference/explanations.js';
import { createMemoryBudget } from './http/middleware/limit-body.js';
import { buildOpenApiDocument } from './http/openapi.js';
import type { Route } from './http/route.js';
import { auditRoutes } from './audit/audit-routes.js';
import { approvalRoutes } from './promotion/approval-routes.js';
import { batchPredictionRoutes } from './batch-predictions/batch-routes.js';
import { calibrationRoutes } from './registry/calibration-routes.js';
import { explainRoutes } from './inference/explain-routes.js';
import { imageRoutes } from './datasets/image-routes.js';
import { labelRoutes } from './predictions/label-routes.js';
import { v2Routes } from './inference/v2/v2-routes.js';
import { datasetRoutes } from './datasets/dataset-routes.js';
import { documentationRoutes } from './http/documentation-routes.js';
import { experimentRunRoutes } from './experiments/run-routes.js';
import { experimentRoutes } from './experiments/experiment-routes.js';
import { erasureRoutes } from './erasure/erasure-routes.js';
import { feedbackRoutes } from './predictions/feedback-routes.js';
import { healthRoutes } from './health/health-routes.js';
import { invocationRoutes } from './inference/invocations/invocation-routes.js';
import { modelRegistryRoutes } from './registry/model-routes.js';
import { modelVersionRoutes } from './registry/version-routes.js';
import { lineageRoutes } from './predictions/lineage/lineage-routes.js';
import { modelRoutes } from './inference/model-info-routes.js';
import { notificationRoutes } from './notifications/notification-routes.js';
import { pipelineAttemptRoutes } from './pipelines/attempt-routes.js';
import { pipelineRoutes } from './pipelines/pipeline-routes.js';
import { policyRoutes } from './promotion/policy-routes.js';
import { predictBatchRoutes } from './inference/predict-batch-routes.js';
import { predictionRoutes } from './inference/predict-routes.js';
import { predictionHistoryRoutes } from './predictions/prediction-routes.js';
import { runArtifactRoutes } from './experiments/artifact-routes.js';
import { promotionRoutes } from './promotion/promotion-routes.js';
import { registerRoutes } from './registry/register-routes.js';
import { retentionRoutes } from './pipelines/retention-routes.js';
import { retrainingRoutes } from './retraining/retraining-routes.js';
import { scheduleRoutes } from './retraining/schedules/schedule-routes.js';
import { tuningRoutes } from './experiments/search-routes.js';
import { uploadRoutes } from './datasets/upload-routes.js';

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

import { createExplanations } from './inference/explanations.js';
import { createUploadQuota, type UploadQuotaOptions } from './http/body/upload-quota.js';
import { buildOpenApiDocument } from './http/openapi.js';
import type { ObservedMetrics } from './http/middleware/observe.js';
import type { Route } from './http/route.js';
import type { ApiSettings } from './http/settings.js';
import { auditRoutes } from './audit/audit-routes.js';
import { approvalRoutes } from './promotion/approval-routes.js';
import { batchPredictionRoutes } from './batch-predictions/batch-routes.js';
import { calibrationRoutes } from './registry/calibration-routes.js';
import { explainRoutes } from './inference/explain-routes.js';
import { imageRoutes } from './datasets/image-routes.js';
import { labelRoutes } from './predictions/label-routes.js';
import { v2Routes } from './inference/v2/v2-routes.js';
import { datasetImageRoutes } from './datasets/dataset-image-routes.js';
import { sourceRoutes } from './datasets/source-routes.js';
import { datasetRoutes } from './datasets/dataset-routes.js';
import { documentationRoutes } from './http/documentation-routes.js';
import { experimentRunRoutes } from './experiments/run-routes.js';
import { experimentRoutes } from './experiments/experiment-routes.js';
import { erasureRoutes } from './erasure/erasure-routes.js';
import { feedbackRoutes } from './predictions/feedback-routes.js';
import { healthRoutes } from './health/health-routes.js';
import { invocationRoutes } from './inference/invocations/invocation-routes.js';
import { modelRegistryRoutes } from './registry/model-routes.js';
import { versionFileRoutes } from './registry/version-file-routes.js';
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
import { retireRoutes } from './promotion/retire-routes.js';
import { registerRoutes } from './registry/register-routes.js';
import { retentionRoutes } from './pipelines/retention-routes.js';
import { retrainingRoutes } from './retraining/retraining-routes.js';
import { scheduleRoutes } from './retraining/schedules/schedule-routes.js';
import { storageRoutes } from './storage/storage-routes.js';
import { tuningRoutes } from './experiments/search-routes.js';
import { quarantineRoutes } from './datasets/quarantine-routes.js';
import { uploadRoutes } from './datasets/upload-routes.js';

/** Routes of every room, in the order they are matched. Each declares what it needs. */
const rooms = [
  healthRoutes,
  predictionRoutes,
  predictBatchRoutes,
  invocationRoutes,
  v2Routes,
  explainRoutes,
  batchPredictionRoutes,
  modelRoutes,
  registerRoutes,
  promotionRoutes,
  // After them: `register` and `promote` would match as model names.
  modelRegistryRoutes,
  retireRoutes,
  approvalRoutes,
  policyRoutes,
  modelVersionRoutes,
  versionFileRoutes,
  calibrationRoutes,
  predictionHistoryRoutes,
  feedbackRoutes,
  labelRoutes,
  lineageRoutes,
  erasureRoutes,
  experimentRoutes,
  experimentRunRoutes,
  runArtifactRoutes,
  // Before the runs: `tuning` would match as a run id.
  tuningRoutes,
  retentionRoutes,
  pipelineRoutes,
  pipelineAttemptRoutes,
  retrainingRoutes,
  scheduleRoutes,
  datasetRoutes,
  sourceRoutes,
  datasetImageRoutes,
  imageRoutes,
  quarantineRoutes,
  uploadRoutes,
  notificationRoutes,
  storageRoutes,
  auditRoutes,
] as const;

type Intersection<Union> = (Union extends unknown ? (each: Union) => void : never) extends (all: infer All) => void
  ? All
  : never;

/** What all rooms need together. Tests of one room build its few fields only. */
type RoomDependencies = Intersection<Parameters<(typeof rooms)[number]>[0]>;

/** Dependencies of the application. */
export type ApiDependencies = Omit<RoomDependencies, 'explanations' | 'uploadQuota'> &
  Parameters<typeof createExplanations>[0] &
  Pick<UploadQuotaOptions, 'storage'> & { metrics: ObservedMetrics; settings: ApiSettings };

/** The one table of routes: the application is mounted from it and the OpenAPI document describes it. */
export function createRoutes(dependencies: ApiDependencies): { routes: readonly Route[]; document: object } {
  const shared = {
    ...dependencies,
    explanations: createExplanations(dependencies),
    uploadQuota: createUploadQuota({ ...dependencies, onShed: () => dependencies.metrics.countShed('uploads') }),
  };
  let document: object = {};
  const routes = [...documentationRoutes(() => document), ...rooms.flatMap((room) => room(shared))];
  document = buildOpenApiDocument(routes, dependencies.settings);
  return { routes, document };
}

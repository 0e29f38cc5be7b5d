import { hourWindowOf } from '../../contracts/retraining/schedules.js';
import { wilsonInterval } from '../../domain/wilson-interval.js';
import type { Config } from '../../platform/config.js';
import { createAuditStore } from '../../stores/audit/audit.js';
import type { Logger } from '../../platform/logging.js';
import type { Database } from '../../stores/postgres/database.js';
import { createFeedbackStore } from '../../stores/predictions/feedback.js';
import { createPolicyStore } from '../../stores/promotion/policies.js';
import { createRetrainingDecisions, type RetrainingDecisions } from '../../stores/retraining/retraining-decisions.js';
import { createRetrainingInputStore } from '../../stores/retraining/retraining-inputs.js';
import { createAdvisoryLocks } from '../../stores/postgres/advisory-lock.js';
import { retrainingSeries, scheduleSeries } from './retraining-metrics.js';
import type { SeriesRegistry } from '../http/request-metrics.js';
import type { PipelineStarter } from '../workflows/pipeline-starter.js';
import { createRetrainingRequests, type RetrainingRequests } from './retraining-requests.js';
import { createSchedules, type Schedules } from './schedules/schedules.js';
import type { TemporalLink } from '../workflows/temporal-link.js';

export interface RetrainingOptions {
  config: Config;
  database: Database;
  temporal: TemporalLink;
  starter: PipelineStarter;
  metrics: SeriesRegistry;
  logger: Logger;
}

/** What happens by itself: decisions on retrainings, and schedules. */
export interface RetrainingServices {
  decisions: RetrainingDecisions;
  retrainer: RetrainingRequests;
  schedules: Schedules;
}

export function composeRetraining({
  config,
  database,
  temporal,
  starter,
  metrics,
  logger,
}: RetrainingOptions): RetrainingServices {
  const decisions = createRetrainingDecisions(database);
  const facts = createRetrainingInputStore(database, {
    policies: createPolicyStore(database),
    feedback: createFeedbackStore(database, wilsonInterval),
  });
  const schedules = createSchedules({
    temporal,
    audit: createAuditStore(database),
    turns: createAdvisoryLocks(database),
    logger,
    defaults: { timeZone: config.SCHEDULE_TIME_ZONE, retrainingHours: hourWindowOf(config.RETRAINING_HOURS) },
    namespace: config.TEMPORAL_NAMESPACE,
  });
  metrics.addSeries(retrainingSeries(decisions));
  metrics.addSeries(scheduleSeries(schedules));
  const { MODEL_NAME: modelName, DATASET_NAME: datasetName } = config;
  return {
    decisions,
    retrainer: createRetrainingRequests({ decisions, facts, starter, modelName, datasetName }),
    schedules,
  };
}

import { hourWindowOf } from '../../contracts/retraining/schedules.js';
import type { Config } from '../../platform/config.js';
import type { Logger } from '../../platform/logging.js';
import type { Stores } from '../../stores/create-stores.js';
import { retrainingSeries, scheduleSeries } from './retraining-metrics.js';
import type { SeriesRegistry } from '../http/request-metrics.js';
import type { PipelineStarter } from '../workflows/pipeline-starter.js';
import { createRetrainingRequests, type RetrainingRequests } from './retraining-requests.js';
import { createSchedules, type Schedules } from './schedules/schedules.js';
import type { TemporalLink } from '../workflows/temporal-link.js';

export interface RetrainingOptions {
  config: Config;
  stores: Stores;
  temporal: TemporalLink;
  starter: PipelineStarter;
  metrics: SeriesRegistry;
  logger: Logger;
}

/** Requests to retrain, and schedules. */
export interface RetrainingServices {
  retrainer: RetrainingRequests;
  schedules: Schedules;
}

export function composeRetraining({
  config,
  stores,
  temporal,
  starter,
  metrics,
  logger,
}: RetrainingOptions): RetrainingServices {
  const schedules = createSchedules({
    ...stores,
    temporal,
    logger,
    defaults: { timeZone: config.SCHEDULE_TIME_ZONE, retrainingHours: hourWindowOf(config.RETRAINING_HOURS) },
    namespace: config.TEMPORAL_NAMESPACE,
  });
  metrics.addSeries(retrainingSeries(stores.decisions));
  metrics.addSeries(scheduleSeries(schedules));
  const { MODEL_NAME: modelName, DATASET_NAME: datasetName } = config;
  return {
    retrainer: createRetrainingRequests({ ...stores, starter, modelName, datasetName }),
    schedules,
  };
}

import { join } from 'node:path';
import { wilsonInterval } from '../../domain/wilson-interval.js';
import type { Logger } from '../../platform/logging.js';
import type { Database } from '../../stores/postgres/database.js';
import { createDatasetDeletion, type DatasetDeletion } from '../../stores/datasets/dataset-deletion.js';
import { finishErasures } from '../../stores/erasure/run-erasure.js';
import { createErasureStore, type ErasureStore } from '../../stores/erasure/erasures.js';
import { createFeedbackStore, type FeedbackStore } from '../../stores/predictions/feedback.js';
import { createLabelStore, type LabelStore } from '../../stores/predictions/labels.js';
import { createLineageStore, type LineageStore } from '../../stores/predictions/lineage.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import {
  createPredictionInputStore,
  removeExpiredInputs,
  type PredictionInputStore,
} from '../../stores/predictions/prediction-inputs.js';
import { createPredictionStore, type PredictionStore } from '../../stores/predictions/predictions.js';
import { createInputCapture, noInputCapture, type InputCapture } from './inputs/input-capture.js';
import { createInputSpool } from './inputs/capture-spool.js';
import type { FeedbackMetrics } from './prediction-metrics.js';
import type { ModelHost } from '../model-host/model-host.js';
import { createPredictionJournal } from './log/prediction-journal.js';
import { createPredictionLog, noPredictionLog, type PredictionLog } from './log/prediction-log.js';

/** Services of stored predictions, for the routes. */
export interface PredictionServices {
  predictionLog: PredictionLog;
  inputKeeping: InputCapture;
  predictions: PredictionStore;
  inputs: PredictionInputStore;
  labels: LabelStore;
  feedback: FeedbackStore;
  lineage: LineageStore;
  erasures: ErasureStore;
  deletion: DatasetDeletion;
}

export interface PredictionOptions {
  database: Database;
  objects: ObjectStore;
  /** Whether predictions are stored. */
  isLogged: boolean;
  /** Folder of the journal. */
  spoolFolder: string;
  /** Id of this replica. */
  replica: string;
  host: Pick<ModelHost, 'current'>;
  metrics: Pick<FeedbackMetrics, 'watchPredictions' | 'countDroppedPredictions' | 'countInput'>;
  logger: Logger;
}

/** Maintenance runs at the start and then every hour. */
const maintenanceEveryMs = 3_600_000;

/** Wires the prediction log to its journal, to Postgres and to the metrics. */
export function composePredictions(options: PredictionOptions): PredictionServices {
  const { database, host, metrics } = options;
  const predictions = createPredictionStore(database);
  const inputs = createPredictionInputStore(database);
  const feedback = createFeedbackStore(database, wilsonInterval);
  const predictionLog = options.isLogged ? logInto(predictions, options) : noPredictionLog;
  metrics.watchPredictions({
    waiting: () => predictionLog.waiting(),
    async accuracy() {
      const served = host.current();
      if (!served) return null;
      const { modelName, version } = served.version;
      return { modelName, version, accuracy: await feedback.productionAccuracy(modelName, { version }) };
    },
  });
  return {
    predictionLog,
    inputKeeping: options.isLogged ? keepInputs(inputs, options) : noInputCapture,
    predictions,
    inputs,
    labels: createLabelStore(database),
    feedback,
    lineage: createLineageStore(database),
    erasures: createErasureStore(database),
    deletion: createDatasetDeletion(database),
  };
}

function logInto(predictions: PredictionStore, options: PredictionOptions): PredictionLog {
  const { spoolFolder, replica, metrics, logger } = options;
  return createPredictionLog({
    replica,
    predictions,
    journal: createPredictionJournal(join(spoolFolder, 'predictions')),
    onDrop: (rows) => metrics.countDroppedPredictions(rows),
    logger,
  });
}

/** Maximum bytes of captured images on disk. */
const spoolBytes = 1_000_000_000;

function keepInputs(inputs: PredictionInputStore, options: PredictionOptions): InputCapture {
  const { objects, spoolFolder, metrics, logger } = options;
  return createInputCapture({
    objects,
    inputs,
    spool: createInputSpool(join(spoolFolder, 'inputs'), spoolBytes),
    count: (result) => metrics.countInput(result),
    logger,
  });
}

/**
 * Creates partitions ahead of time, adopts journal and spool files of dead processes, removes expired images and completes
 * interrupted erasures, now and every hour. Returns the function that stops it.
 */
export function startPredictionMaintenance(
  { predictions, predictionLog, inputKeeping, inputs, erasures }: PredictionServices,
  objects: ObjectStore,
  logger: Logger,
): () => void {
  const work = async (): Promise<void> => {
    await predictions.makePartitions();
    await predictionLog.adopt();
    await inputKeeping.adopt();
    await removeExpiredInputs({ inputs, objects });
    await finishErasures({ erasures, objects });
  };
  const attempt = (): void => {
    work().catch((error: unknown) => logger.warn({ error }, 'prediction maintenance failed; it runs again in an hour'));
  };
  attempt();
  const timer = setInterval(attempt, maintenanceEveryMs);
  return () => clearInterval(timer);
}

import { join } from 'node:path';
import type { Logger } from '../../platform/logging.js';
import type { Stores } from '../../stores/create-stores.js';
import { finishErasures } from '../../stores/erasure/run-erasure.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import { removeExpiredInputs } from '../../stores/predictions/prediction-inputs.js';
import { createInputCapture, noInputCapture, type InputCapture } from './inputs/input-capture.js';
import { createInputSpool } from './inputs/capture-spool.js';
import type { FeedbackMetrics } from './prediction-metrics.js';
import type { ModelHost } from '../model-host/model-host.js';
import { createPredictionJournal } from './log/prediction-journal.js';
import { createPredictionLog, noPredictionLog, type PredictionLog } from './log/prediction-log.js';

/** Writes predictions and their images to the stores, behind the answers. */
export interface PredictionServices {
  predictionLog: PredictionLog;
  inputCapture: InputCapture;
}

export interface PredictionOptions {
  stores: Stores;
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
  const { stores, host, metrics } = options;
  const predictionLog = options.isLogged ? createLog(options) : noPredictionLog;
  metrics.watchPredictions({
    waiting: () => predictionLog.waiting(),
    async accuracy() {
      const served = host.current();
      if (!served) return null;
      const { modelName, version } = served.version;
      return { modelName, version, accuracy: await stores.feedback.productionAccuracy(modelName, { version }) };
    },
  });
  return { predictionLog, inputCapture: options.isLogged ? createCapture(options) : noInputCapture };
}

function createLog({ stores, spoolFolder, replica, metrics, logger }: PredictionOptions): PredictionLog {
  return createPredictionLog({
    replica,
    predictions: stores.predictions,
    journal: createPredictionJournal(join(spoolFolder, 'predictions')),
    onDrop: (rows) => metrics.countDroppedPredictions(rows),
    logger,
  });
}

/** Maximum bytes of captured images on disk. */
const spoolBytes = 1_000_000_000;

function createCapture({ stores, objects, spoolFolder, metrics, logger }: PredictionOptions): InputCapture {
  return createInputCapture({
    objects,
    inputs: stores.inputs,
    spool: createInputSpool(join(spoolFolder, 'inputs'), spoolBytes),
    count: (result) => metrics.countInput(result),
    logger,
  });
}

interface MaintainedServices {
  predictions: PredictionServices;
  stores: Stores;
  objects: ObjectStore;
}

/**
 * Creates partitions ahead of time, adopts journal and spool files of dead processes, removes expired images and completes
 * interrupted erasures, now and every hour. Returns the function that stops it.
 */
export function startPredictionMaintenance(
  { predictions: { predictionLog, inputCapture }, stores, objects }: MaintainedServices,
  logger: Logger,
): () => void {
  const work = async (): Promise<void> => {
    await stores.predictions.makePartitions();
    await predictionLog.adopt();
    await inputCapture.adopt();
    await removeExpiredInputs({ ...stores, objects });
    await finishErasures({ ...stores, objects });
  };
  const attempt = (): void => {
    work().catch((error: unknown) => logger.warn({ error }, 'prediction maintenance failed; it runs again in an hour'));
  };
  attempt();
  const timer = setInterval(attempt, maintenanceEveryMs);
  return () => clearInterval(timer);
}

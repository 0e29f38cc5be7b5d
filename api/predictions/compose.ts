import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.js';
import type { Logger } from '../../platform/logging.js';
import type { StorageGuard } from '../../platform/storage-guard.js';
import type { Stores } from '../../stores/create-stores.js';
import type { VersionPublisher } from '../../stores/datasets/publish-version.js';
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
  storage: Pick<StorageGuard, 'require'>;
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

/** Most bytes of the journal, which grows while Postgres is unavailable: a million predictions. */
const journalBytes = 500_000_000;
/** Most bytes of the journal while the disk is short of space. */
const journalBytesWhenShort = 8_000_000;

/** Throws if the journal may not grow; predictions wait in memory then, and the oldest that fit are stored. */
async function requireJournalRoom(storage: PredictionOptions['storage'], bytes: number): Promise<void> {
  if (bytes > journalBytes) {
    throw new PerennialError(
      'insufficient_storage',
      `The journal of predictions has its limit of ${journalBytes} bytes.`,
    );
  }
  if (bytes > journalBytesWhenShort) await storage.require('journal');
}

function createLog({ stores, spoolFolder, replica, metrics, storage, logger }: PredictionOptions): PredictionLog {
  return createPredictionLog({
    replica,
    predictions: stores.predictions,
    journal: createPredictionJournal(join(spoolFolder, 'predictions'), (bytes) => requireJournalRoom(storage, bytes)),
    onDrop: (rows) => metrics.countDroppedPredictions(rows),
    logger,
  });
}

/** Maximum bytes of captured images on disk. */
const spoolBytes = 1_000_000_000;

function createCapture({ stores, objects, spoolFolder, metrics, storage, logger }: PredictionOptions): InputCapture {
  return createInputCapture({
    objects,
    inputs: stores.inputs,
    spool: createInputSpool(join(spoolFolder, 'inputs'), spoolBytes),
    storage,
    count: (result) => metrics.countInput(result),
    logger,
  });
}

interface MaintainedServices {
  predictions: PredictionServices;
  stores: Stores;
  objects: ObjectStore;
  publisher: VersionPublisher;
}

/**
 * Creates partitions ahead of time, adopts journal and spool files of dead processes, removes expired images and completes
 * interrupted erasures, now and every hour. Returns the function that stops it.
 */
export function startPredictionMaintenance(
  { predictions: { predictionLog, inputCapture }, stores, objects, publisher }: MaintainedServices,
  logger: Logger,
): () => void {
  const work = async (): Promise<void> => {
    await stores.predictions.makePartitions();
    await predictionLog.adopt();
    await inputCapture.adopt();
    await removeExpiredInputs({ ...stores, objects });
    await finishErasures({ ...stores, objects, publisher });
  };
  const attempt = (): void => {
    work().catch((error: unknown) => logger.warn({ error }, 'prediction maintenance failed; it runs again in an hour'));
  };
  attempt();
  const timer = setInterval(attempt, maintenanceEveryMs);
  return () => clearInterval(timer);
}

import { hostname } from 'node:os';
import { Runtime, Worker, DefaultLogger, type WorkerOptions } from '@temporalio/worker';
import { createAttemptRecorder } from '../activities/runtime/attempt-recorder.js';
import { createActivityInterceptor } from '../activities/runtime/interceptor.js';
import { createRecordActivities } from '../activities/runtime/records.js';
import { messageOf } from '../contracts/errors.js';
import { loadConfig, localFolders, type Config } from '../platform/config.js';
import { createLogger, type Logger } from '../platform/logging.js';
import { createStorageGuard } from '../platform/storage-guard.js';
import { announceReady, onShutdown, untilServicesAreUp } from '../platform/process.js';
import { connect, type WorkerDependencies } from './dependencies.js';

export interface Wiring {
  config: Config;
  logger: Logger;
  deps: WorkerDependencies;
}

/** Background work of a worker, in parallel to its activities. */
export interface Background {
  /** Stops within about `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Runs a worker process: connects, polls its task queue until a stop signal, lets running activities finish within the
 * grace period, and disconnects.
 */
export async function runWorker(
  name: string,
  wire: (wiring: Wiring) => Promise<WorkerOptions> | WorkerOptions,
  startBackground?: (wiring: Wiring) => Promise<Background>,
): Promise<void> {
  const config = loadConfig();
  const logger = createLogger(name, config.LOG_LEVEL);
  logTemporalThrough(logger);
  await untilServicesAreUp();
  try {
    const deps = await connect(config, logger);
    const recording = {
      attempts: createAttemptRecorder(deps.attempts, logger),
      steps: createRecordActivities(deps),
      worker: `${name} ${process.pid} on ${hostname()}`,
      storage: createStorageGuard({ folders: localFolders(config), minFreeBytes: config.MIN_FREE_BYTES }),
    };
    const worker = await Worker.create({
      connection: deps.temporal,
      namespace: config.TEMPORAL_NAMESPACE,
      shutdownGraceTime: config.SHUTDOWN_GRACE_MS / 2,
      maxHeartbeatThrottleInterval: '2s',
      defaultHeartbeatThrottleInterval: '2s',
      interceptors: { activity: [(context) => ({ inbound: createActivityInterceptor(context, logger, recording) })] },
      ...(await wire({ config, logger, deps })),
    });
    const background = await startBackground?.({ config, logger, deps });
    const finished = worker.run();
    onShutdown(logger, config.SHUTDOWN_GRACE_MS, async () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await finished;
      await background?.stop(config.SHUTDOWN_GRACE_MS / 4);
      await deps.close();
    });
    announceReady();
    await finished;
  } catch (error) {
    logger.fatal({ error }, `the ${name} cannot run: ${messageOf(error)}`);
    process.exit(1);
  }
}

/** SDK warnings to drop: the interceptor logs failed activities, and the training worker has no workflows by design. */
const droppedWarnings = ['Activity failed', 'No workflows registered, not polling for workflow tasks'];

function logTemporalThrough(logger: Logger): void {
  Runtime.install({
    // onShutdown handles the signals and stops everything in order.
    shutdownSignals: [],
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
      const severity = level === 'ERROR' ? 'error' : 'warn';
      if (!droppedWarnings.includes(message)) logger[severity]({ ...meta }, message);
    }),
  });
}

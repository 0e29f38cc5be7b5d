import { hostname } from 'node:os';
import { Runtime, Worker, DefaultLogger, type WorkerOptions } from '@temporalio/worker';
import { createAttemptRecorder } from '../activities/runtime/attempt-recorder.js';
import { createActivityInterceptor } from '../activities/runtime/interceptor.js';
import { messageOf } from '../contracts/errors.js';
import { loadConfig, type Config } from '../platform/config.js';
import { createLogger, type Logger } from '../platform/logging.js';
import { announceReady, onShutdown } from '../platform/process.js';
import { connect, type WorkerDependencies } from './dependencies.js';

export interface Wiring {
  config: Config;
  logger: Logger;
  deps: WorkerDependencies;
}

/** What a worker does beside the work of its queue. */
export interface Background {
  /** Ends it within about `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/**
 * The life of a worker process: connects, polls its queue until it is told to stop, lets running activities end
 * within the grace time, and disconnects.
 */
export async function runWorker(
  name: string,
  wire: (wiring: Wiring) => Promise<WorkerOptions> | WorkerOptions,
  startBackground?: (wiring: Wiring) => Promise<Background>,
): Promise<void> {
  const config = loadConfig();
  const logger = createLogger(name, config.LOG_LEVEL);
  logTemporalThrough(logger);
  try {
    const deps = await connect(config, logger);
    const recording = {
      attempts: createAttemptRecorder(deps.attempts, logger),
      worker: `${name} ${process.pid} on ${hostname()}`,
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

/** Said by the SDK as warnings, but no news to us: the interceptor logs failures, the training worker runs none. */
const notNews = ['Activity failed', 'No workflows registered, not polling for workflow tasks'];

function logTemporalThrough(logger: Logger): void {
  Runtime.install({
    // The supervisor's signals are handled by onShutdown, which knows the order.
    shutdownSignals: [],
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
      const severity = level === 'ERROR' ? 'error' : 'warn';
      if (!notNews.includes(message)) logger[severity]({ ...meta }, message);
    }),
  });
}

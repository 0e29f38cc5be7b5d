import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../contracts/errors.js';
import { isAnyAddress, loadConfig, type Config } from '../platform/config.js';
import { createLogger, type Logger } from '../platform/logging.js';
import { announceReady, onShutdown, untilServicesAreUp } from '../platform/process.js';
import { migrate } from '../stores/postgres/migrate.js';
import { composeApi, type Api } from './compose.js';
import { listen, type Listening } from './http/server/listen.js';
import type { ModelHost } from './model-host/model-host.js';
import { startPublishing } from './datasets/compose.js';
import { startPredictionMaintenance } from './predictions/compose.js';
import { waitUntilAvailable } from '../platform/wait-until-available.js';

/** How long the supervisor waits at most for the model in Production to be loaded. */
const firstLoadMs = 30_000;

/** Listens at once, so that liveness and clear errors are available from the start; work begins once Postgres is reachable. */
async function run(config: Config, logger: Logger): Promise<void> {
  const api = await composeApi(config, logger);
  const listening = await listen(api.app, config.HOST, config.PORT, { logger, metrics: api.metrics }, api.refusals);
  const stopping = new AbortController();
  let host: ModelHost | null = null;
  let endChores = (): void => undefined;
  onShutdown(logger, config.SHUTDOWN_GRACE_MS, async () => {
    stopping.abort();
    endChores();
    await stop(api, listening, host, logger, config);
  });

  const url = ownUrl(config, listening.port);
  logger.info({ url }, 'listening');
  if (!(await waitUntilAvailable('migrate the schema', () => migrate(api.database), logger, stopping.signal))) return;
  const chores = [startPredictionMaintenance(api, logger), startPublishing(api.publisher, logger)];
  endChores = () => chores.forEach((end) => end());
  host = api.startServing(config.REPLICA_URL ?? url);
  api.health.setReady();
  api.metrics.setReady(true);
  if (!(await waitUntilAvailable('find the bucket', () => api.objects.ensureBucket(), logger, stopping.signal))) return;
  await Promise.race([host.settled(), sleep(firstLoadMs, undefined, { ref: false })]);
  announceReady(url);
  logger.info({ url }, 'ready');
  await createSchedules(api, config.MODEL_NAME, logger, stopping.signal);
}

/** Temporal may start later, or forbid schedules; the API works without them. */
async function createSchedules(api: Api, modelName: string, logger: Logger, signal: AbortSignal): Promise<void> {
  try {
    await waitUntilAvailable('create the schedules', () => api.retraining.schedules.ensure(modelName), logger, signal);
  } catch (error) {
    logger.error({ error }, `schedules could not be created: ${messageOf(error)}`);
  }
}

async function stop(
  api: Api,
  listening: Listening,
  host: ModelHost | null,
  logger: Logger,
  { SHUTDOWN_GRACE_MS: graceMs, SHUTDOWN_LEAVE_MS: leaveMs }: Config,
): Promise<void> {
  api.health.setStopping();
  api.metrics.setReady(false);
  api.refusals.release();
  // Half of the grace period is for pending answers; the rest is for closing the engine and the connections.
  await Promise.all([host?.drain(), listening.stop(graceMs / 2, leaveMs)]);
  logger.info('no more requests');
  await host?.stop();
  logger.info('inference threads ended');
  await Promise.all([api.predictions.predictionLog.stop(), api.predictions.inputCapture.stop()]);
  logger.info('predictions written');
  await api.temporal.close();
  api.objects.close();
  api.sourceObjects?.close();
  await api.database.close();
  logger.info('connections closed');
}

/** URL of the API for processes of this machine; loopback if it listens on all addresses. */
function ownUrl({ HOST }: Config, port: number): string {
  if (isAnyAddress(HOST)) return `http://127.0.0.1:${port}`;
  return `http://${HOST.includes(':') ? `[${HOST}]` : HOST}:${port}`;
}

function fail(logger: Logger, error: unknown): never {
  logger.fatal({ error }, `the API cannot run: ${messageOf(error)}`);
  process.exit(1);
}

const bootLogger = createLogger('api');
try {
  const config = loadConfig();
  const logger = createLogger('api', config.LOG_LEVEL);
  await untilServicesAreUp();
  await run(config, logger).catch((error: unknown) => fail(logger, error));
} catch (error) {
  fail(bootLogger, error);
}

import { configuredChannels } from '../activities/notifications/channels.js';
import { dispatchTiming, startDispatcher } from '../activities/notifications/dispatcher.js';
import { outboxChannel } from '../contracts/names.js';
import { addressWithoutSecrets } from '../platform/secrets.js';
import type { Background, Wiring } from './run-worker.js';

/** Sends notifications over the configured channels, in parallel to the activities of the worker. */
export async function startNotifications({ config, logger, deps }: Wiring): Promise<Background> {
  const channels = configuredChannels(config, logger);
  logger.info({ channels: channels.map(({ name }) => name) }, 'notification dispatcher started');
  return startDispatcher({
    ...deps,
    channels,
    subscribe: (onHint) => deps.database.listen(outboxChannel, onHint),
    publicUrl: config.PUBLIC_URL === undefined ? null : addressWithoutSecrets(config.PUBLIC_URL),
    logger,
    timing: dispatchTiming(config.NOTIFY_TIMEOUT_MS),
  });
}

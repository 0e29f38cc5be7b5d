import { configuredChannels } from '../activities/notifications/channels.js';
import { dispatchTiming, startDispatcher } from '../activities/notifications/dispatcher.js';
import { outboxChannel } from '../contracts/names.js';
import type { Background, Wiring } from './run-worker.js';

/** Sends messages over the channels that are configured, beside the work of the queue. */
export async function startNotifications({ config, logger, deps }: Wiring): Promise<Background> {
  const channels = configuredChannels(config, logger);
  logger.info({ channels: channels.map(({ name }) => name) }, 'messages are sent');
  return startDispatcher({
    ...deps,
    channels,
    subscribe: (onHint) => deps.database.listen(outboxChannel, onHint),
    publicUrl: config.PUBLIC_URL ?? null,
    logger,
    timing: dispatchTiming(config.NOTIFY_TIMEOUT_MS),
  });
}

import pg from 'pg';
import { backoffMs } from '../../platform/backoff.js';
import type { Logger } from '../../platform/logging.js';

export interface Subscription {
  url: string;
  channel: string;
  onMessage: (payload: string) => void;
  logger: Logger;
}

const reconnectMs = { first: 200, most: 5_000 };

/**
 * LISTENs on a separate connection and reconnects with back-off. Messages sent while it is disconnected are lost: a
 * NOTIFY is a hint, and consumers poll as well. Resolves after the first connection attempt, successful or not, with the
 * function that stops it.
 */
export async function subscribe({ url, channel, onMessage, logger }: Subscription): Promise<() => Promise<void>> {
  let stopped = false;
  let client: pg.Client | null = null;
  let timer: NodeJS.Timeout | null = null;
  let failures = 0;

  const scheduleAgain = (): void => {
    if (stopped || timer) return;
    timer = setTimeout(
      () => {
        timer = null;
        void connect();
      },
      backoffMs(reconnectMs, ++failures),
    );
    timer.unref();
  };
  const connect = async (): Promise<void> => {
    const fresh = new pg.Client({ connectionString: url, keepAlive: true, connectionTimeoutMillis: 5_000 });
    fresh.on('error', (error) => logger.debug({ error, channel }, 'the listening connection was lost'));
    fresh.on('end', scheduleAgain);
    fresh.on('notification', (message) => onMessage(message.payload ?? ''));
    client = fresh;
    try {
      await fresh.connect();
      await fresh.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
      failures = 0;
    } catch (error) {
      logger.debug({ error, channel }, 'listening is not possible yet');
      await fresh.end().catch(() => undefined);
      scheduleAgain();
    }
  };

  await connect();
  return async () => {
    stopped = true;
    if (timer) clearTimeout(timer);
    await client?.end().catch(() => undefined);
  };
}

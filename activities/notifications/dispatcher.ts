import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../contracts/errors.js';
import { notificationText } from '../../domain/notifications/notification-text.js';
import { snakeKeys } from '../../domain/snake-keys.js';
import { backoffMs, type BackoffLimits } from '../../platform/backoff.js';
import type { Logger } from '../../platform/logging.js';
import { withoutSecrets } from '../../platform/secrets.js';
import type { Delivery, DeliveryStore } from '../../stores/notifications/deliveries.js';
import { DeliveryFailure, type Channel, type OutgoingMessage } from './channel.js';
import { startLoop, type Loop } from './loop.js';

export interface DispatcherOptions {
  deliveries: DeliveryStore;
  channels: readonly Channel[];
  /** Reports new messages early; returns a function that unsubscribes. Polling finds all messages without it. */
  subscribe: (onHint: () => void) => Promise<() => Promise<void>>;
  /** URL of the API for links in messages. */
  publicUrl: string | null;
  logger: Logger;
  timing: DispatchTiming;
}

export interface DispatchTiming {
  /** Time limit for an answer of the receiver. */
  timeoutMs: number;
  pollMs: number;
  /** Time after which a delivery whose sender has died can be taken again; longer than `timeoutMs`. */
  leaseMs: number;
  /** Between attempts. */
  retryMs: BackoffLimits;
  giveUpAfterMs: number;
  /** How often the channels are written to the database. */
  announceMs: number;
}

/** The timing of a worker. */
export function dispatchTiming(timeoutMs: number): DispatchTiming {
  return {
    timeoutMs,
    pollMs: 1_000,
    leaseMs: timeoutMs + 10_000,
    retryMs: { first: 1_000, most: 600_000 },
    giveUpAfterMs: 7 * 24 * 3_600_000,
    announceMs: 60_000,
  };
}

/** Sends messages until it is stopped. No error ends the process. */
export interface Dispatcher {
  /** Takes no more messages. Deliveries in flight get `graceMs`, then they are released for another dispatcher. */
  stop(graceMs: number): Promise<void>;
}

/** Deliveries of one channel in flight at the same time. */
const concurrency = 4;

/**
 * Dispatches new messages to the channels and sends them. Each channel has its own loop, and each message is retried
 * separately, so a receiver that hangs or is unavailable delays neither other channels nor later messages. Several
 * processes can do this at once. Delivery is at least once: if a sender is killed between sending and recording it, the
 * message is sent again with the same delivery id.
 */
export async function startDispatcher(options: DispatcherOptions): Promise<Dispatcher> {
  const senders = options.channels.map((channel) => startSender(options, channel));
  const wakeSenders = (): void => {
    for (const { loop } of senders) loop.wake();
  };
  const dispatchLoop = await startDispatchLoop(options, wakeSenders);
  const unsubscribe = await options.subscribe(() => {
    dispatchLoop.wake();
    // Also for messages that were resent manually, which are dispatched already.
    wakeSenders();
  });
  return {
    async stop(graceMs) {
      await unsubscribe();
      await dispatchLoop.stop();
      await Promise.all(senders.map((sender) => sender.stop(graceMs)));
    },
  };
}

/**
 * Starts the loop that dispatches messages. Senders of all processes pick up the deliveries; those of this process are
 * woken. Resolves after the first attempt to announce the channels: messages added after that go to them.
 */
async function startDispatchLoop(
  { deliveries, channels, timing, logger }: DispatcherOptions,
  onDispatched: () => void,
): Promise<Loop> {
  let announcedAt = -Infinity;
  const announce = async (): Promise<void> => {
    if (performance.now() - announcedAt <= timing.announceMs) return;
    await deliveries.announce(channels);
    await deliveries.expireUnconfigured(timing.giveUpAfterMs);
    announcedAt = performance.now();
  };
  // The loop retries at once and logs the failure.
  await announce().catch(() => undefined);
  return startLoop({
    what: 'dispatching messages',
    pauseMs: timing.pollMs,
    logger,
    async pass() {
      await announce();
      while ((await deliveries.createPending()) > 0) onDispatched();
    },
  });
}

interface Sender {
  loop: Loop;
  stop(graceMs: number): Promise<void>;
}

function startSender(options: DispatcherOptions, channel: Channel): Sender {
  const { deliveries, timing, logger } = options;
  const shutdown = new AbortController();
  const inFlight = new Set<Promise<void>>();
  const loop = startLoop({
    what: `sending messages over ${channel.name}`,
    pauseMs: timing.pollMs,
    logger,
    async pass() {
      const free = concurrency - inFlight.size;
      if (free === 0) return;
      for (const delivery of await deliveries.take(channel.name, free, timing.leaseMs)) {
        const sending = deliver(options, channel, delivery, shutdown.signal).finally(() => {
          inFlight.delete(sending);
          loop.wake();
        });
        inFlight.add(sending);
      }
    },
  });
  return {
    loop,
    async stop(graceMs) {
      await loop.stop();
      await Promise.race([Promise.all(inFlight), sleep(graceMs, undefined, { ref: false })]);
      shutdown.abort();
      await Promise.all(inFlight);
    },
  };
}

/** Sends one message and records the outcome. If that fails, the message is sent again when the lease has expired. */
async function deliver(
  options: DispatcherOptions,
  channel: Channel,
  delivery: Delivery,
  shutdown: AbortSignal,
): Promise<void> {
  const { deliveries, logger, timing } = options;
  const context = { channel: channel.name, message_id: delivery.messageId, kind: delivery.kind };
  try {
    const failure = await trySend(options, channel, delivery, shutdown);
    if (failure === null) {
      await deliveries.markSent(delivery);
      return;
    }
    if (shutdown.aborted) {
      await deliveries.release(delivery);
      return;
    }
    const retryInMs = Math.max(backoffMs(timing.retryMs, delivery.attempts), requestedWaitMs(failure, timing));
    const reached = failure instanceof DeliveryFailure ? failure.reached : [];
    const error = withoutSecrets(messageOf(failure));
    const { isDead } = await deliveries.markFailed(delivery, {
      error,
      retryInMs,
      giveUpAfterMs: timing.giveUpAfterMs,
      reached,
    });
    const entry = { ...context, attempt: delivery.attempts, reason: error };
    if (isDead) logger.error(entry, 'a message was given up; POST /api/v1/notifications/<id>/resend sends it again');
    else logger.warn({ ...entry, retry_ms: retryInMs }, 'a message was not delivered and is retried');
  } catch (error) {
    logger.warn({ ...context, error }, 'the outcome of a delivery could not be recorded');
  }
}

/** Returns the failure; null when the message was accepted. Does not wait for a channel that ignores its signal. */
async function trySend(
  { publicUrl, timing }: DispatcherOptions,
  channel: Channel,
  delivery: Delivery,
  shutdown: AbortSignal,
): Promise<unknown> {
  const ended = new AbortController();
  const onShutdown = (): void => ended.abort(new DeliveryFailure('The worker shut down before the receiver answered.'));
  const timer = setTimeout(() => {
    ended.abort(new DeliveryFailure(`The receiver did not answer within ${timing.timeoutMs} ms.`));
  }, timing.timeoutMs);
  shutdown.addEventListener('abort', onShutdown, { once: true });
  const aborted = new Promise<never>((_, reject) => {
    ended.signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
  });
  try {
    await Promise.race([channel.send(toOutgoing(delivery, publicUrl), ended.signal), aborted]);
    return null;
  } catch (error) {
    return ended.signal.aborted ? ended.signal.reason : error;
  } finally {
    clearTimeout(timer);
    shutdown.removeEventListener('abort', onShutdown);
  }
}

function toOutgoing(delivery: Delivery, publicUrl: string | null): OutgoingMessage {
  const { messageId, deliveryId, kind, payload, createdAt, reached } = delivery;
  return {
    id: String(messageId),
    deliveryId,
    kind,
    createdAt,
    reached,
    payload: snakeKeys(payload),
    ...notificationText(kind, payload, publicUrl),
  };
}

function requestedWaitMs(failure: unknown, { retryMs }: DispatchTiming): number {
  return failure instanceof DeliveryFailure ? Math.min(failure.retryAfterMs, retryMs.most) : 0;
}

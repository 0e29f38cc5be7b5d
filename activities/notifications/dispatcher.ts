import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../contracts/errors.js';
import { notificationText } from '../../domain/notifications/notification-text.js';
import { snakeKeys } from '../../domain/snake-keys.js';
import { backoffMs, type BackoffLimits } from '../../platform/backoff.js';
import type { Logger } from '../../platform/logging.js';
import type { Delivery, DeliveryStore } from '../../stores/notifications/deliveries.js';
import { DeliveryFailure, type Channel, type OutgoingMessage } from './channel.js';
import { startLoop, type Loop } from './loop.js';

export interface DispatcherOptions {
  deliveries: DeliveryStore;
  channels: readonly Channel[];
  /** Hints that there are messages; gives the way to stop. The poll is what counts. */
  subscribe: (onHint: () => void) => Promise<() => Promise<void>>;
  /** Where people reach the API, for links. */
  publicUrl: string | null;
  logger: Logger;
  timing: DispatchTiming;
}

export interface DispatchTiming {
  /** Time a receiver gets to answer. */
  timeoutMs: number;
  pollMs: number;
  /** Time after which a delivery is free again whose sender is gone; longer than `timeoutMs`. */
  leaseMs: number;
  /** Between attempts. */
  retryMs: BackoffLimits;
  giveUpAfterMs: number;
  /** How often the channels are announced. */
  announceMs: number;
}

/** The times of a worker. */
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

/** Sends messages until it is stopped. Nothing it meets ends the process. */
export interface Dispatcher {
  /** Takes nothing more; what is on its way gets `graceMs`, then goes back untried. */
  stop(graceMs: number): Promise<void>;
}

/** Messages of one channel that are on their way at the same time. */
const concurrency = 4;

/**
 * Hands new messages out and sends them: a loop for each channel, so that a receiver that hangs or is away holds up
 * neither the others nor, as every message is tried on its own, what comes after it. Several processes may do this at
 * once. A message leaves at least once: one whose sender is killed between sending and noting so leaves again, under
 * the same delivery id.
 */
export async function startDispatcher(options: DispatcherOptions): Promise<Dispatcher> {
  const senders = options.channels.map((channel) => startSender(options, channel));
  const wakeSenders = (): void => {
    for (const { loop } of senders) loop.wake();
  };
  const handOut = await startHandOut(options, wakeSenders);
  const unsubscribe = await options.subscribe(() => {
    handOut.wake();
    // Also messages sent again by hand, which are handed out already.
    wakeSenders();
  });
  return {
    async stop(graceMs) {
      await unsubscribe();
      await handOut.stop();
      await Promise.all(senders.map((sender) => sender.stop(graceMs)));
    },
  };
}

/**
 * What a pass handed out is sent by loops of every process; those of this one are woken. Resolves when the first try
 * to announce the channels has ended: what is added after that goes to them.
 */
async function startHandOut(
  { deliveries, channels, timing, logger }: DispatcherOptions,
  onHandedOut: () => void,
): Promise<Loop> {
  let announcedAt = -Infinity;
  const announce = async (): Promise<void> => {
    if (performance.now() - announcedAt <= timing.announceMs) return;
    await deliveries.announce(channels);
    await deliveries.buryForgotten(timing.giveUpAfterMs);
    announcedAt = performance.now();
  };
  // Its failure is told by the loop, which tries again at once.
  await announce().catch(() => undefined);
  return startLoop({
    what: 'handing out messages',
    pauseMs: timing.pollMs,
    logger,
    async pass() {
      await announce();
      while ((await deliveries.handOut()) > 0) onHandedOut();
    },
  });
}

interface Sender {
  loop: Loop;
  stop(graceMs: number): Promise<void>;
}

function startSender(options: DispatcherOptions, channel: Channel): Sender {
  const { deliveries, timing, logger } = options;
  const cutOff = new AbortController();
  const underWay = new Set<Promise<void>>();
  const loop = startLoop({
    what: `sending messages over ${channel.name}`,
    pauseMs: timing.pollMs,
    logger,
    async pass() {
      const free = concurrency - underWay.size;
      if (free === 0) return;
      for (const delivery of await deliveries.take(channel.name, free, timing.leaseMs)) {
        const sending = deliver(options, channel, delivery, cutOff.signal).finally(() => {
          underWay.delete(sending);
          loop.wake();
        });
        underWay.add(sending);
      }
    },
  });
  return {
    loop,
    async stop(graceMs) {
      await loop.stop();
      await Promise.race([Promise.all(underWay), sleep(graceMs, undefined, { ref: false })]);
      cutOff.abort();
      await Promise.all(underWay);
    },
  };
}

/** Sends one message and notes what became of it; what cannot be noted is sent again when the lease has run out. */
async function deliver(
  options: DispatcherOptions,
  channel: Channel,
  delivery: Delivery,
  cutOff: AbortSignal,
): Promise<void> {
  const { deliveries, logger, timing } = options;
  const about = { channel: channel.name, message_id: delivery.messageId, kind: delivery.kind };
  try {
    const failure = await failureOf(options, channel, delivery, cutOff);
    if (failure === null) {
      await deliveries.markSent(delivery);
      return;
    }
    if (cutOff.aborted) {
      await deliveries.release(delivery);
      return;
    }
    const retryInMs = Math.max(backoffMs(timing.retryMs, delivery.attempts), waitOf(failure, timing));
    const reached = failure instanceof DeliveryFailure ? failure.reached : [];
    const error = messageOf(failure);
    const { isDead } = await deliveries.markFailed(delivery, {
      error,
      retryInMs,
      giveUpAfterMs: timing.giveUpAfterMs,
      reached,
    });
    const entry = { ...about, attempt: delivery.attempts, reason: error };
    if (isDead) logger.error(entry, 'a message was given up; POST /api/v1/notifications/<id>/resend sends it again');
    else logger.warn({ ...entry, retry_ms: retryInMs }, 'a message did not arrive and is tried again');
  } catch (error) {
    logger.warn({ ...about, error }, 'what became of a message could not be noted');
  }
}

/** Null when the message was taken. A channel that does not heed its signal is not waited for. */
async function failureOf(
  { publicUrl, timing }: DispatcherOptions,
  channel: Channel,
  delivery: Delivery,
  cutOff: AbortSignal,
): Promise<unknown> {
  const ended = new AbortController();
  const cut = (): void => ended.abort(new DeliveryFailure('It was cut off.'));
  const timer = setTimeout(() => {
    ended.abort(new DeliveryFailure(`There was no answer within ${timing.timeoutMs} ms.`));
  }, timing.timeoutMs);
  cutOff.addEventListener('abort', cut, { once: true });
  const aborted = new Promise<never>((_, reject) => {
    ended.signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
  });
  try {
    await Promise.race([channel.send(outgoing(delivery, publicUrl), ended.signal), aborted]);
    return null;
  } catch (error) {
    return ended.signal.aborted ? ended.signal.reason : error;
  } finally {
    clearTimeout(timer);
    cutOff.removeEventListener('abort', cut);
  }
}

function outgoing(delivery: Delivery, publicUrl: string | null): OutgoingMessage {
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

function waitOf(failure: unknown, { retryMs }: DispatchTiming): number {
  return failure instanceof DeliveryFailure ? Math.min(failure.retryAfterMs, retryMs.most) : 0;
}

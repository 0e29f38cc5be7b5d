import type { NotificationChannel } from '../../contracts/notifications/notifications.js';

/** A message ready to leave. */
export interface OutgoingMessage {
  id: string;
  /** Of this message over this channel, the same at every attempt: receivers tell repetitions by it. */
  deliveryId: string;
  kind: string;
  createdAt: string;
  subject: string;
  text: string;
  link: string | null;
  /** In snake case. */
  payload: unknown;
  /** Recipients that have it from an attempt before. */
  reached: readonly string[];
}

/** A way out for messages. */
export interface Channel {
  name: NotificationChannel;
  /** Kinds of messages it takes, as in `model.*`. */
  kinds: readonly string[];
  /** Resolves when the receiver has the message. What it throws is kept as the reason, so it must hold no secret. */
  send(message: OutgoingMessage, signal: AbortSignal): Promise<void>;
}

/** A receiver did not take a message, or not for all its recipients. */
export class DeliveryFailure extends Error {
  override readonly name = 'DeliveryFailure';
  /** Recipients that have the message all the same. */
  readonly reached: readonly string[];
  /** How long the receiver asks to be left alone. */
  readonly retryAfterMs: number;

  constructor(message: string, { reached = [], retryAfterMs = 0 }: { reached?: string[]; retryAfterMs?: number } = {}) {
    super(message);
    this.reached = reached;
    this.retryAfterMs = retryAfterMs;
  }
}

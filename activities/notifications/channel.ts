import type { NotificationChannel } from '../../contracts/notifications/notifications.js';

/** A message ready to be sent. */
export interface OutgoingMessage {
  id: string;
  /** Identifies this message on this channel, the same at every attempt: receivers recognize repetitions by it. */
  deliveryId: string;
  kind: string;
  createdAt: string;
  subject: string;
  text: string;
  link: string | null;
  /** With keys in snake_case. */
  payload: unknown;
  /** Recipients that got it in an earlier attempt. */
  reached: readonly string[];
}

/** Sends messages to a receiver. */
export interface Channel {
  name: NotificationChannel;
  /** Kinds of messages it sends, such as `model.*`. */
  kinds: readonly string[];
  /** Resolves when the receiver has the message. Error messages are stored as the reason, so they must contain no secret. */
  send(message: OutgoingMessage, signal: AbortSignal): Promise<void>;
}

/** A receiver did not accept a message, or not for all its recipients. */
export class DeliveryFailure extends Error {
  override readonly name = 'DeliveryFailure';
  /** Recipients that got the message nevertheless. */
  readonly reached: readonly string[];
  /** How long the receiver asks to wait before the next attempt. */
  readonly retryAfterMs: number;

  constructor(message: string, { reached = [], retryAfterMs = 0 }: { reached?: string[]; retryAfterMs?: number } = {}) {
    super(message);
    this.reached = reached;
    this.retryAfterMs = retryAfterMs;
  }
}

import { z } from 'zod';
import { notificationChannelSchema, type NotificationChannel } from '../../contracts/notifications/notifications.js';
import { integerColumn, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';

const deliveryRow = z.object({
  messageId: integerColumn,
  channel: notificationChannelSchema,
  /** Constant over all attempts. */
  deliveryId: z.string(),
  /** Also the fencing token of the lease: a later holder has a higher one. */
  attempts: z.number(),
  /** Recipients that have received it already, for a channel with several. */
  reached: z.array(z.string()),
  kind: z.string(),
  payload: z.unknown(),
  createdAt: timestampColumn,
});
/** A message on one channel. */
export type Delivery = z.output<typeof deliveryRow>;

export interface FailedAttempt {
  error: string;
  retryInMs: number;
  /** How long a delivery is retried before it is dead. */
  giveUpAfterMs: number;
  /** Recipients that received it despite the failure. */
  reached: readonly string[];
}

/** Deliveries, for the dispatcher: one per message and channel. */
export interface DeliveryStore {
  /**
   * Registers the channels of this process and the message kinds they accept (patterns such as `model.*`). A new channel
   * gets only messages that are added afterwards.
   */
  announce(channels: readonly { name: NotificationChannel; kinds: readonly string[] }[]): Promise<void>;
  /** Creates the deliveries of new messages on the channels registered in the last minutes. Returns the number of messages. */
  createPending(): Promise<number>;
  /** Leases due deliveries, the longest due first; no other process gets them during the lease. */
  take(channel: NotificationChannel, limit: number, leaseMs: number): Promise<Delivery[]>;
  markSent(delivery: Delivery): Promise<void>;
  /** Records a failed attempt. Returns whether it was the last one; without effect after the lease was lost. */
  markFailed(delivery: Delivery, failure: FailedAttempt): Promise<{ isDead: boolean }>;
  /** Ends the lease of a delivery, so that another dispatcher can take it. */
  release(delivery: Delivery): Promise<void>;
  /** Marks deliveries as dead whose channel no worker has configured for the retry period. */
  expireUnconfigured(giveUpAfterMs: number): Promise<void>;
}

const handOutLimit = 500;
/** How long a registered channel counts as configured; workers register every minute. */
export const announcedWithin = `interval '5 minutes'`;

export function createDeliveryStore(db: Database): DeliveryStore {
  return {
    announce: (channels) => db.transaction((tx) => announce(tx, channels)),
    createPending: () => handOut(db),
    async take(channel, limit, leaseMs) {
      const taken = await db.rows(
        deliveryRow,
        `WITH due AS (
           SELECT message_id FROM deliveries
           WHERE channel = $1 AND status = 'waiting' AND next_attempt_at <= now()
             AND (taken_until IS NULL OR taken_until < now())
           ORDER BY next_attempt_at, message_id LIMIT $2 FOR UPDATE SKIP LOCKED)
         UPDATE deliveries d SET attempts = d.attempts + 1, taken_until = now() + $3 * interval '1 millisecond'
         FROM due, outbox m WHERE d.message_id = due.message_id AND d.channel = $1 AND m.id = d.message_id
         RETURNING d.*, m.kind, m.payload, m.created_at`,
        [channel, limit, leaseMs],
      );
      return taken.sort((a, b) => a.messageId - b.messageId);
    },
    markSent: (delivery) =>
      settle(db, delivery, async (tx) => {
        // Also without a valid lease: the message was sent.
        await tx.query(
          `UPDATE deliveries SET status = 'sent', sent_at = now(), taken_until = NULL, last_error = NULL
           WHERE message_id = $1 AND channel = $2 AND status <> 'sent'`,
          [delivery.messageId, delivery.channel],
        );
      }),
    markFailed: (delivery, failure) => markFailed(db, delivery, failure),
    async release({ messageId, channel, attempts }) {
      await db.query(
        'UPDATE deliveries SET taken_until = NULL WHERE message_id = $1 AND channel = $2 AND attempts = $3',
        [messageId, channel, attempts],
      );
    },
    expireUnconfigured: (giveUpAfterMs) => buryForgotten(db, giveUpAfterMs),
  };
}

async function announce(tx: Queryable, channels: Parameters<DeliveryStore['announce']>[0]): Promise<void> {
  for (const { name, kinds } of channels) {
    await tx.query(
      `INSERT INTO notification_channels (name, kinds, since_id)
       VALUES ($1, $2, (SELECT coalesce(max(id), 0) FROM outbox))
       ON CONFLICT (name) DO UPDATE SET kinds = excluded.kinds, seen_at = now()`,
      [name, kinds.map(likePattern)],
    );
  }
}

/** One statement, so that all deliveries of a message are created together. A message without a channel is done. */
async function handOut(db: Database): Promise<number> {
  const handed = await db.query(
    `WITH fresh AS (
       SELECT id, kind FROM outbox WHERE handed_out_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED),
     planned AS (
       INSERT INTO deliveries (message_id, channel)
       SELECT fresh.id, c.name FROM fresh JOIN notification_channels c
         ON fresh.id > c.since_id AND fresh.kind LIKE ANY (c.kinds) AND c.seen_at > now() - ${announcedWithin}
       RETURNING message_id)
     UPDATE outbox SET handed_out_at = now(),
       done_at = CASE WHEN outbox.id IN (SELECT message_id FROM planned) THEN NULL ELSE now() END
     FROM fresh WHERE outbox.id = fresh.id RETURNING outbox.id`,
    [handOutLimit],
  );
  return handed.length;
}

/** Changes a delivery, and marks its message as done if all its deliveries have ended. */
async function settle<T>(
  db: Database,
  { messageId }: Pick<Delivery, 'messageId'>,
  change: (tx: Queryable) => Promise<T>,
): Promise<T> {
  return db.transaction(async (tx) => {
    // Lock the message: two deliveries that end at the same time would each see the other one waiting.
    await tx.query('SELECT FROM outbox WHERE id = $1 FOR UPDATE', [messageId]);
    const result = await change(tx);
    await markDone(tx, [messageId]);
    return result;
  });
}

async function markDone(tx: Queryable, messageIds: readonly number[]): Promise<void> {
  await tx.query(
    `UPDATE outbox SET done_at = now() WHERE id = ANY ($1::bigint[]) AND done_at IS NULL
       AND NOT EXISTS (SELECT FROM deliveries d WHERE d.message_id = outbox.id AND d.status = 'waiting')`,
    [messageIds],
  );
}

function markFailed(db: Database, delivery: Delivery, failure: FailedAttempt): Promise<{ isDead: boolean }> {
  return settle(db, delivery, async (tx) => {
    const [row] = await tx.rows(
      z.object({ status: z.string() }),
      `UPDATE deliveries SET taken_until = NULL, last_error = $4, reached = reached || $5::text[],
         next_attempt_at = now() + $6 * interval '1 millisecond',
         status = CASE WHEN waiting_since + $7 * interval '1 millisecond' <= now() THEN 'dead' ELSE 'waiting' END
       WHERE message_id = $1 AND channel = $2 AND attempts = $3 AND status = 'waiting' RETURNING status`,
      [
        delivery.messageId,
        delivery.channel,
        delivery.attempts,
        failure.error,
        failure.reached,
        failure.retryInMs,
        failure.giveUpAfterMs,
      ],
    );
    return { isDead: row?.status === 'dead' };
  });
}

function buryForgotten(db: Database, giveUpAfterMs: number): Promise<void> {
  return db.transaction(async (tx) => {
    const buried = await tx.rows(
      z.object({ messageId: integerColumn }),
      `UPDATE deliveries d SET status = 'dead',
         last_error = 'No worker has this channel configured any more.' || coalesce(' Before that: ' || last_error, '')
       FROM notification_channels c
       WHERE c.name = d.channel AND c.seen_at < now() - ${announcedWithin} AND d.status = 'waiting'
         AND d.waiting_since + $1 * interval '1 millisecond' <= now()
       RETURNING d.message_id`,
      [giveUpAfterMs],
    );
    await markDone(
      tx,
      buried.map(({ messageId }) => messageId),
    );
  });
}

/** `model.*` as a LIKE pattern, with underscores escaped. */
export function likePattern(kinds: string): string {
  return kinds.replaceAll(/[\\_%]/g, '\\$&').replaceAll('*', '%');
}

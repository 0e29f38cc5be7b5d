import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import { outboxChannel } from '../../contracts/names.js';
import {
  deliveryStatusSchema,
  notificationChannelSchema,
  type DeliveryStatus,
  type NotificationChannel,
} from '../../contracts/notifications/notifications.js';
import { writeAudit } from '../audit/audit.js';
import { integerColumn, jsonParameter, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { announcedWithin, likePattern } from './deliveries.js';
import { pageBy, sequenceOfToken, type Page } from '../postgres/page.js';

const deliverySchema = z.object({
  channel: notificationChannelSchema,
  deliveryId: z.string(),
  status: deliveryStatusSchema,
  attempts: z.number(),
  nextAttemptAt: timestampColumn,
  lastError: z.string().nullable(),
  sentAt: timestampColumn.nullable(),
});
const deliveryRow = deliverySchema
  .extend({ messageId: integerColumn })
  .transform(({ messageId, ...delivery }) => ({ messageId, delivery }));

const messageRow = z.object({
  id: integerColumn,
  kind: z.string(),
  payload: z.unknown(),
  createdAt: timestampColumn,
  doneAt: timestampColumn.nullable(),
});
/** A message with its deliveries, which a worker creates. */
export type NotificationRecord = z.output<typeof messageRow> & { deliveries: z.output<typeof deliverySchema>[] };

const countRow = z.object({ channel: notificationChannelSchema, waiting: integerColumn, dead: integerColumn });
export type ChannelCounts = z.output<typeof countRow>;

export interface NotificationQuery {
  limit: number;
  pageToken?: string | null;
  /** Messages with a delivery of this status. */
  status?: DeliveryStatus;
  /** A kind, or a group of kinds such as `model.*`. */
  kind?: string;
}

/** Messages and the state of their deliveries. */
export interface NotificationStore {
  /** Newest first. */
  list(query: NotificationQuery): Promise<Page<NotificationRecord>>;
  /**
   * Sends a message again at once: over one channel, or over all that have not sent it yet. Throws `not_found` for an
   * unknown message or delivery, `conflict` if every channel has sent it and none was named.
   */
  resend(id: number, channel: NotificationChannel | null, by: Actor): Promise<NotificationRecord>;
  /** Adds a test message for one channel. Throws `conflict` if no worker has it configured. */
  test(channel: NotificationChannel, by: Actor): Promise<NotificationRecord>;
  /** Number of pending and dead deliveries of every known channel. */
  counts(): Promise<ChannelCounts[]>;
}

export function createNotificationStore(db: Database): NotificationStore {
  return {
    list: (query) => list(db, query),
    resend: (id, channel, by) => db.transaction((tx) => resend(tx, id, channel, by)),
    test: (channel, by) => db.transaction((tx) => test(tx, channel, by)),
    counts: () =>
      db.rows(
        countRow,
        `SELECT c.name AS channel, count(*) FILTER (WHERE d.status = 'waiting') AS waiting,
           count(*) FILTER (WHERE d.status = 'dead') AS dead
         FROM notification_channels c LEFT JOIN deliveries d ON d.channel = c.name AND d.status <> 'sent'
         GROUP BY c.name ORDER BY c.name`,
      ),
  };
}

async function list(db: Queryable, query: NotificationQuery): Promise<Page<NotificationRecord>> {
  const { limit, pageToken, status, kind } = query;
  const messages = await db.rows(
    messageRow,
    `SELECT * FROM outbox m WHERE ($2::bigint IS NULL OR id < $2) AND ($3::text IS NULL OR kind LIKE $3)
       AND ($4::text IS NULL OR EXISTS (SELECT FROM deliveries d WHERE d.message_id = m.id AND d.status = $4))
     ORDER BY id DESC LIMIT $1`,
    [limit + 1, sequenceOfToken(pageToken), kind === undefined ? null : likePattern(kind), status ?? null],
  );
  const records = await withDeliveries(db, messages);
  return pageBy(records, limit, ({ id }) => id);
}

async function withDeliveries(
  db: Queryable,
  messages: readonly z.output<typeof messageRow>[],
): Promise<NotificationRecord[]> {
  const rows = await db.rows(
    deliveryRow,
    'SELECT * FROM deliveries WHERE message_id = ANY ($1::bigint[]) ORDER BY channel',
    [messages.map(({ id }) => id)],
  );
  return messages.map((message) => ({
    ...message,
    deliveries: rows.filter(({ messageId }) => messageId === message.id).map(({ delivery }) => delivery),
  }));
}

async function getMessage(tx: Queryable, id: number): Promise<NotificationRecord> {
  const message = await tx.row(messageRow, 'SELECT * FROM outbox WHERE id = $1 FOR UPDATE', [id]);
  const [record] = message ? await withDeliveries(tx, [message]) : [];
  if (record) return record;
  throw new PerennialError('not_found', `There is no message ${id}; GET /api/v1/notifications lists them.`);
}

async function resend(
  tx: Queryable,
  id: number,
  channel: NotificationChannel | null,
  by: Actor,
): Promise<NotificationRecord> {
  const before = await getMessage(tx, id);
  const again = before.deliveries.filter((each) =>
    channel === null ? each.status !== 'sent' : each.channel === channel,
  );
  if (again.length === 0) throw nothingToSend(id, channel);
  const channels = again.map((each) => each.channel);
  // A pending or dead delivery skips recipients that have received it; a sent one goes to all recipients again.
  await tx.query(
    `UPDATE deliveries SET reached = CASE WHEN status = 'sent' THEN '{}' ELSE reached END, status = 'waiting',
       sent_at = NULL, next_attempt_at = now(), waiting_since = now()
     WHERE message_id = $1 AND channel = ANY ($2)`,
    [id, channels],
  );
  await tx.query('UPDATE outbox SET done_at = NULL WHERE id = $1', [id]);
  await hint(tx);
  const after = await getMessage(tx, id);
  await writeAudit(tx, {
    by,
    action: 'notification.resend',
    subject: `notifications/${id}`,
    before: Object.fromEntries(again.map((each) => [each.channel, each.status])),
    after: Object.fromEntries(channels.map((name) => [name, 'waiting'])),
  });
  return after;
}

function nothingToSend(id: number, channel: NotificationChannel | null): PerennialError {
  return channel === null
    ? new PerennialError('conflict', `Message ${id} was sent on every channel. Name a channel to send it again.`)
    : new PerennialError(
        'not_found',
        `Message ${id} has no delivery on ${channel}: the message is older than the channel.`,
      );
}

async function test(tx: Queryable, channel: NotificationChannel, by: Actor): Promise<NotificationRecord> {
  const live = await tx.query(
    `SELECT FROM notification_channels WHERE name = $1 AND seen_at > now() - ${announcedWithin}`,
    [channel],
  );
  if (live.length === 0) {
    throw new PerennialError(
      'conflict',
      `No running worker has the channel ${channel} configured. Configure it (docs/notifications.md) and restart the pipeline worker.`,
    );
  }
  const [message] = await tx.rows(
    messageRow,
    `INSERT INTO outbox (key, kind, payload, handed_out_at) VALUES ($1, 'notification.test', $2, now()) RETURNING *`,
    [`test-${randomUUID()}`, jsonParameter({ channel, actor: by.name })],
  );
  if (!message) throw new PerennialError('internal', 'The test message could not be written.');
  await tx.query('INSERT INTO deliveries (message_id, channel) VALUES ($1, $2)', [message.id, channel]);
  await writeAudit(tx, { by, action: 'notification.test', subject: `notifications/${message.id}`, after: { channel } });
  return getMessage(tx, message.id);
}

async function hint(tx: Queryable): Promise<void> {
  await tx.query('SELECT pg_notify($1, $2)', [outboxChannel, '']);
}

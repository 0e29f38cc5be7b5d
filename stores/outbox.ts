import { z } from 'zod';
import { integerColumn, jsonParameter, timestampColumn } from './columns.js';
import type { Database, Queryable } from './database.js';

const messageRow = z.object({
  id: integerColumn,
  kind: z.string(),
  payload: z.unknown(),
  attempts: z.number(),
  createdAt: timestampColumn,
});
export type OutboxMessage = z.output<typeof messageRow>;

/** How long a taken message stays with its taker before another may have it. */
const leaseSeconds = 60;

/** Messages to the outside, written in the transaction of the change they speak of and sent afterwards. */
export interface OutboxStore {
  /** Adds a message, within the transaction `tx` if there is one. The same `key` adds it once, however often it is called. */
  add(kind: string, payload: unknown, options: { key: string; tx?: Queryable }): Promise<void>;
  /** Waiting messages, oldest first, which no other taker gets for a minute. */
  take(limit: number): Promise<OutboxMessage[]>;
  /** Marks a message as sent. */
  done(id: number): Promise<void>;
}

export function createOutboxStore(db: Database): OutboxStore {
  return {
    add: (kind, payload, { key, tx = db }) => addToOutbox(tx, { key, kind, payload }),
    async take(limit) {
      const taken = await db.rows(
        messageRow,
        `UPDATE outbox SET attempts = attempts + 1, taken_until = now() + $2 * interval '1 second'
         WHERE id IN (
           SELECT id FROM outbox WHERE done_at IS NULL AND (taken_until IS NULL OR taken_until < now())
           ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
         RETURNING *`,
        [limit, leaseSeconds],
      );
      return taken.sort((a, b) => a.id - b.id);
    },
    async done(id) {
      await db.query('UPDATE outbox SET done_at = now() WHERE id = $1', [id]);
    },
  };
}

/** Writes a message within the transaction `tx`, once for each `key`. */
export async function addToOutbox(
  tx: Queryable,
  { key, kind, payload }: { key: string; kind: string; payload: unknown },
): Promise<void> {
  await tx.query('INSERT INTO outbox (key, kind, payload) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING', [
    key,
    kind,
    jsonParameter(payload) ?? 'null',
  ]);
}

import { jsonParameter } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';

/** Messages to the outside, written in the transaction of the change they speak of and sent afterwards. */
export interface OutboxStore {
  /** Adds a message, within the transaction `tx` if there is one. The same `key` adds it once, however often it is called. */
  add(kind: string, payload: unknown, options: { key: string; tx?: Queryable }): Promise<void>;
}

export function createOutboxStore(db: Database): OutboxStore {
  return {
    add: (kind, payload, { key, tx = db }) => addToOutbox(tx, { key, kind, payload }),
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

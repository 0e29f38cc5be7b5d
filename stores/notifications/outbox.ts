import { jsonParameter } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';

/** Transactional outbox: messages are written in the transaction of their change and sent afterwards. */
export interface OutboxStore {
  /** Adds a message, in the transaction `tx` if given. Idempotent by `key`. */
  add(kind: string, payload: unknown, options: { key: string; tx?: Queryable }): Promise<void>;
}

export function createOutboxStore(db: Database): OutboxStore {
  return {
    add: (kind, payload, { key, tx = db }) => addToOutbox(tx, { key, kind, payload }),
  };
}

/** Writes a message in the transaction `tx`. Idempotent by `key`. */
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

import { z } from 'zod';
import { auditChannels, type AuditChannel, type AuditEntry } from '../../contracts/audit/audit.js';
import { integerColumn, jsonParameter, timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { pageBy, sequenceOfToken, type Page } from '../postgres/page.js';

const auditRow = z.object({
  id: integerColumn,
  at: timestampColumn,
  actor: z.string(),
  via: z.enum(auditChannels),
  source: z.string(),
  requestId: z.string().nullable(),
  action: z.string(),
  subject: z.string(),
  before: z.unknown(),
  after: z.unknown(),
});
export type AuditRecord = z.output<typeof auditRow>;

export interface AuditQuery {
  limit: number;
  pageToken?: string | null;
  action?: string | undefined;
  actor?: string | undefined;
  /** A subject, or a prefix of one that ends before a slash. */
  subject?: string | undefined;
  via?: AuditChannel | undefined;
  requestId?: string | undefined;
  /** ISO times: inclusive start, exclusive end. */
  from?: Date | undefined;
  to?: Date | undefined;
}

/** Who did what; append-only. */
export interface AuditStore {
  /** Adds an entry for a change that is made outside Postgres. */
  add(entry: AuditEntry): Promise<void>;
  /** Newest first. */
  list(query: AuditQuery): Promise<Page<AuditRecord>>;
}

export function createAuditStore(db: Database): AuditStore {
  return {
    add: (entry) => writeAudit(db, entry),
    async list({ limit, pageToken, action, actor, subject, via, requestId, from, to }) {
      const rows = await db.rows(
        auditRow,
        `SELECT * FROM audit_log
         WHERE ($2::bigint IS NULL OR id < $2) AND ($3::text IS NULL OR action = $3) AND ($4::text IS NULL OR actor = $4)
           AND ($5::text IS NULL OR subject = $5 OR starts_with(subject, $5 || '/'))
           AND ($6::text IS NULL OR via = $6) AND ($7::text IS NULL OR request_id = $7)
           AND ($8::timestamptz IS NULL OR at >= $8) AND ($9::timestamptz IS NULL OR at < $9)
         ORDER BY id DESC LIMIT $1`,
        [limit + 1, sequenceOfToken(pageToken), ...[action, actor, subject, via, requestId, from, to].map(orNull)],
      );
      return pageBy(rows, limit, ({ id }) => id);
    },
  };
}

function orNull(filter: string | Date | undefined): string | Date | null {
  return filter ?? null;
}

/** Writes an entry in the transaction of its change. */
export async function writeAudit(tx: Queryable, { by, action, subject, before, after }: AuditEntry): Promise<void> {
  await tx.query(
    `INSERT INTO audit_log (actor, via, source, request_id, action, subject, before, after)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [by.name, by.via, by.from, by.requestId, action, subject, jsonParameter(before), jsonParameter(after)],
  );
}

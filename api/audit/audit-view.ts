import type { z } from 'zod';
import type { auditRecordViewSchema } from '../../contracts/audit/audit.js';
import { snakeKeys } from '../../domain/snake-keys.js';
import type { AuditRecord } from '../../stores/audit/audit.js';

/** An entry of the audit log in the spelling of HTTP. */
export function auditView(record: AuditRecord): z.input<typeof auditRecordViewSchema> {
  const { id, at, actor, via, source, requestId, action, subject, before, after } = record;
  return {
    id: String(id),
    at,
    actor,
    via,
    from: source,
    request_id: requestId,
    action,
    subject,
    before: snakeKeys(before),
    after: snakeKeys(after),
  };
}

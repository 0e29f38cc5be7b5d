import type { z } from 'zod';
import { auditRecordViewSchema } from '../../contracts/audit/audit.js';
import { toSnake } from '../../contracts/http/snake-shape.js';
import { snakeKeys } from '../../domain/snake-keys.js';
import type { AuditRecord } from '../../stores/audit/audit.js';

/** An entry of the audit log as JSON. */
export function auditView(record: AuditRecord): z.input<typeof auditRecordViewSchema> {
  const { source: from, before, after } = record;
  return toSnake(auditRecordViewSchema, { ...record, from, before: snakeKeys(before), after: snakeKeys(after) });
}

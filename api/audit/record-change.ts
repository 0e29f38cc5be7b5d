import type { AuditEntry } from '../../contracts/audit/audit.js';
import type { Logger } from '../../platform/logging.js';
import type { AuditStore } from '../../stores/audit/audit.js';

export interface ChangeRecorder {
  audit: Pick<AuditStore, 'add'>;
  logger: Logger;
}

/**
 * Records a change that was made outside Postgres and so cannot share a transaction with its audit entry. If that fails,
 * the entry goes to the log.
 */
export async function recordChange({ audit, logger }: ChangeRecorder, entry: AuditEntry): Promise<void> {
  try {
    await audit.add(entry);
  } catch (error) {
    logger.error({ error, audit: entry }, 'a change could not be written to the audit log');
  }
}

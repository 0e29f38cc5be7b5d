import type { AuditEntry } from '../../contracts/audit/audit.js';
import type { Logger } from '../../platform/logging.js';
import type { AuditStore } from '../../stores/audit/audit.js';

export interface ChangeRecorder {
  audit: Pick<AuditStore, 'add'>;
  logger: Logger;
}

/**
 * Notes a change that was made outside Postgres, and so cannot share a transaction with its entry. It is made whether
 * or not this works: when it does not, the entry is in the log.
 */
export async function recordChange({ audit, logger }: ChangeRecorder, entry: AuditEntry): Promise<void> {
  try {
    await audit.add(entry);
  } catch (error) {
    logger.error({ error, audit: entry }, 'a change could not be written to the audit log');
  }
}

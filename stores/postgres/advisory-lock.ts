import { createLimiter } from '../../platform/concurrently.js';
import type { Database } from './database.js';

/** Named locks over all processes, held in Postgres. */
export interface AdvisoryLocks {
  /**
   * Runs `work` while holding the lock `name`. A process runs one at a time, whatever the name, so that waiting calls
   * hold a single connection.
   */
  withLock<T>(name: string, work: () => Promise<T>): Promise<T>;
}

export function createAdvisoryLocks(db: Database): AdvisoryLocks {
  const oneAtATime = createLimiter(1);
  return {
    withLock: (name, work) =>
      oneAtATime(() =>
        db.transaction(async (tx) => {
          await tx.query('SELECT pg_advisory_xact_lock(hashtext($1))', [name]);
          return work();
        }),
      ),
  };
}

import type { Database } from './database.js';

/** Work that must not be done by two at a time, in whatever processes they are. */
export interface AdvisoryLocks {
  /**
   * Does `work` when nobody else does any under that name. Of one process only one is in turn at a time, whatever the
   * names, so that those who wait hold one connection to Postgres and no more.
   */
  withLock<T>(name: string, work: () => Promise<T>): Promise<T>;
}

export function createAdvisoryLocks(db: Database): AdvisoryLocks {
  let last: Promise<unknown> = Promise.resolve();
  return {
    withLock(name, work) {
      const turn = last.then(() =>
        db.transaction(async (tx) => {
          await tx.query('SELECT pg_advisory_xact_lock(hashtext($1))', [name]);
          return work();
        }),
      );
      last = turn.catch(() => undefined);
      return turn;
    },
  };
}

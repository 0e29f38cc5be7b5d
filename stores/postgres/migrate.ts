import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { packageRoot } from '../../platform/paths.js';
import type { Database, Queryable } from './database.js';

/** Key of the advisory lock that a migration holds. */
const lockNumber = 7_306_441;
const fileName = /^(\d{4})-[a-z0-9-]+\.sql$/;

/**
 * Migrates the schema: runs the pending files of `stores/migrations` in order, in one transaction, under a lock. Throws
 * `conflict` for a database that a newer release has migrated.
 */
export async function migrate(db: Database, folder = join(packageRoot, 'stores', 'migrations')): Promise<void> {
  const files = (await readdir(folder)).filter((name) => fileName.test(name)).sort();
  const bringUp = async (tx: Queryable): Promise<void> => {
    await tx.query('SELECT pg_advisory_xact_lock($1)', [lockNumber]);
    await tx.query(
      'CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
    );
    const applied = new Set(
      (await tx.rows(z.object({ name: z.string() }), 'SELECT name FROM schema_migrations')).map(({ name }) => name),
    );
    const unknown = [...applied].filter((name) => !files.includes(name));
    if (unknown.length > 0) {
      throw new PerennialError(
        'conflict',
        `This database was migrated by a newer release (${unknown.join(', ')}). Start that release, or use another database.`,
      );
    }
    for (const name of files.filter((file) => !applied.has(file))) {
      await tx.query(await readFile(join(folder, name), 'utf8'));
      await tx.query('INSERT INTO schema_migrations (name) VALUES ($1)', [name]);
    }
  };
  // Building an index on many predictions takes minutes; a time limit would fail at every start.
  await db.transaction(bringUp, { isPatient: true });
}

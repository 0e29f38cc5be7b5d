import { z } from 'zod';
import type { Actor } from '../../contracts/audit/audit.js';
import { PerennialError } from '../../contracts/errors.js';
import { writeAudit } from '../audit/audit.js';
import { timestampColumn } from '../postgres/columns.js';
import type { Database, Queryable } from '../postgres/database.js';
import { lockModel } from '../promotion/production.js';
import { latestVersion, readVersion, requireModel } from './rows.js';

const aliasRow = z.object({
  alias: z.string(),
  version: z.number(),
  /** Null for the computed aliases. */
  changedAt: timestampColumn.nullable(),
});
export type Alias = z.output<typeof aliasRow>;

/** Aliases of versions. */
export interface AliasRecord {
  /** Stored aliases and the computed `latest` and `production`, by name. Throws `not_found`. */
  aliases(modelName: string): Promise<Alias[]>;
  /** Points an alias at a version, replacing its target. Throws `not_found`. */
  setAlias(modelName: string, alias: string, version: number, by: Actor): Promise<Alias>;
  /** Throws `not_found`. */
  deleteAlias(modelName: string, alias: string, by: Actor): Promise<Alias>;
}

export function createAliasRecord(db: Database): AliasRecord {
  return {
    async aliases(modelName) {
      await requireModel(db, modelName);
      return db.rows(
        aliasRow,
        `SELECT alias, version, changed_at FROM model_aliases WHERE model_name = $1
         UNION ALL SELECT 'latest', ${latestVersion}, NULL FROM model_versions
           WHERE model_name = $1 AND deleted_at IS NULL HAVING count(*) > 0
         UNION ALL SELECT 'production', version, NULL FROM model_versions WHERE model_name = $1 AND stage = 'Production'
         ORDER BY alias`,
        [modelName],
      );
    },
    setAlias: (modelName, alias, version, by) => db.transaction((tx) => set(tx, { modelName, alias, version }, by)),
    deleteAlias: (modelName, alias, by) => db.transaction((tx) => remove(tx, modelName, alias, by)),
  };
}

interface Pointer {
  modelName: string;
  alias: string;
  version: number;
}

async function set(tx: Queryable, { modelName, alias, version }: Pointer, by: Actor): Promise<Alias> {
  await lockModel(tx, modelName);
  await readVersion(tx, modelName, version);
  const former = await find(tx, modelName, alias);
  if (former?.version === version) return former;
  const changed = await tx.row(
    aliasRow,
    `INSERT INTO model_aliases (model_name, alias, version) VALUES ($1, $2, $3)
     ON CONFLICT (model_name, alias) DO UPDATE SET version = excluded.version, changed_at = now()
     RETURNING *`,
    [modelName, alias, version],
  );
  if (!changed) throw new PerennialError('internal', `The alias ${alias} of ${modelName} could not be written.`);
  await writeAudit(tx, {
    by,
    action: 'alias.set',
    subject: subjectOfAlias(modelName, alias),
    before: former && { version: former.version },
    after: { version },
  });
  return changed;
}

async function remove(tx: Queryable, modelName: string, alias: string, by: Actor): Promise<Alias> {
  await lockModel(tx, modelName);
  const former = await find(tx, modelName, alias);
  if (!former) throw new PerennialError('not_found', `No version of ${modelName} has the alias ${alias}.`);
  await tx.query('DELETE FROM model_aliases WHERE model_name = $1 AND alias = $2', [modelName, alias]);
  const subject = subjectOfAlias(modelName, alias);
  await writeAudit(tx, { by, action: 'alias.delete', subject, before: { version: former.version } });
  return former;
}

function find(tx: Queryable, modelName: string, alias: string): Promise<Alias | null> {
  return tx.row(aliasRow, 'SELECT * FROM model_aliases WHERE model_name = $1 AND alias = $2', [modelName, alias]);
}

function subjectOfAlias(modelName: string, alias: string): string {
  return `models/${modelName}/aliases/${alias}`;
}

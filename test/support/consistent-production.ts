import { z } from 'zod';
import { productionChangeKinds } from '../../contracts/registry/registry.js';
import { integerColumn } from '../../stores/postgres/columns.js';
import type { Queryable } from '../../stores/postgres/database.js';

const changeRow = z.object({
  kind: z.enum(productionChangeKinds),
  version: z.number(),
  formerVersion: z.number().nullable(),
  generation: integerColumn,
  idempotencyKey: z.string(),
});
export type RecordedChange = z.output<typeof changeRow>;

export interface ProductionHistory {
  /** The version in Production; null when there is none. */
  production: number | null;
  generation: number;
  /** Oldest first. */
  changes: RecordedChange[];
}

/**
 * Asserts that all tables agree on the Production history of a model: each change starts at the version the previous one
 * ended with and increments the generation, has one notification and one audit entry, and the last change gives the only
 * version in Production and the serving state of the replicas.
 */
export async function expectConsistentProduction(db: Queryable, modelName: string): Promise<ProductionHistory> {
  const changes = await db.rows(changeRow, 'SELECT * FROM promotions WHERE model_name = $1 ORDER BY id', [modelName]);
  const reached = follow(changes);
  const state = { version: reached, generation: changes.length };
  expect(
    await column(db, `SELECT version FROM model_versions WHERE model_name = $1 AND stage = 'Production'`, [modelName]),
  ).toEqual(reached === null ? [] : [reached]);
  const served = await db.query(
    'SELECT version, generation::int AS generation FROM serving_state WHERE model_name = $1',
    [modelName],
  );
  expect(served).toEqual(changes.length === 0 ? [] : [state]);
  await expectOneEventEach(db, modelName, changes);
  return { production: reached, generation: state.generation, changes };
}

const actions = { promotion: 'model.promote', rollback: 'model.roll_back', retirement: 'model.retire' };

/** Returns the version in Production after the last change. */
function follow(changes: readonly RecordedChange[]): number | null {
  let production: number | null = null;
  for (const [index, { kind, version, formerVersion, generation }] of changes.entries()) {
    const [from, to]: [number | null, number | null] =
      kind === 'promotion' ? [formerVersion, version] : [version, formerVersion];
    expect({ generation, from }).toEqual({ generation: index + 1, from: production });
    production = to;
  }
  return production;
}

async function expectOneEventEach(db: Queryable, modelName: string, changes: readonly RecordedChange[]): Promise<void> {
  const sent = await column(
    db,
    `SELECT key AS value FROM outbox WHERE kind IN ('model.promotion', 'model.rollback', 'model.retirement') AND payload ->> 'modelName' = $1
     ORDER BY id`,
    [modelName],
  );
  expect(sent).toEqual(changes.map(({ kind, idempotencyKey }) => `${kind}-${idempotencyKey}`));
  const audited = await column(
    db,
    `SELECT action || ' ' || subject || ' ' || (after ->> 'generation') AS value FROM audit_log
     WHERE action IN ('model.promote', 'model.roll_back', 'model.retire') AND starts_with(subject, 'models/' || $1 || '/') ORDER BY id`,
    [modelName],
  );
  expect(audited).toEqual(
    changes.map(
      ({ kind, version, generation }) => `${actions[kind]} models/${modelName}/versions/${version} ${generation}`,
    ),
  );
}

async function column(db: Queryable, sql: string, parameters: readonly unknown[]): Promise<unknown[]> {
  return (await db.query(sql, parameters)).flatMap((row) => Object.values(row));
}

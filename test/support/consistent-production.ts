import { z } from 'zod';
import { integerColumn } from '../../stores/postgres/columns.js';
import type { Queryable } from '../../stores/postgres/database.js';

const moveRow = z.object({
  kind: z.enum(['promotion', 'rollback']),
  version: z.number(),
  formerVersion: z.number().nullable(),
  generation: integerColumn,
  idempotencyKey: z.string(),
});
export type RecordedChange = z.output<typeof moveRow>;

export interface ProductionHistory {
  /** What is in Production; null when nothing is. */
  production: number | null;
  generation: number;
  /** Oldest first. */
  moves: RecordedChange[];
}

/**
 * Asserts that everything Postgres says of a model's Production tells one story: each move begins where the one before
 * ended and is one generation later, each has one message and one entry of the audit log, and the end of it is the one
 * version in Production and what replicas are told to serve.
 */
export async function expectConsistentProduction(db: Queryable, modelName: string): Promise<ProductionHistory> {
  const moves = await db.rows(moveRow, 'SELECT * FROM promotions WHERE model_name = $1 ORDER BY id', [modelName]);
  const reached = follow(moves);
  const state = { version: reached, generation: moves.length };
  expect(
    await column(db, `SELECT version FROM model_versions WHERE model_name = $1 AND stage = 'Production'`, [modelName]),
  ).toEqual(reached === null ? [] : [reached]);
  const served = await db.query(
    'SELECT version, generation::int AS generation FROM serving_state WHERE model_name = $1',
    [modelName],
  );
  expect(served).toEqual(moves.length === 0 ? [] : [state]);
  await expectOneEventEach(db, modelName, moves);
  return { production: reached, generation: state.generation, moves };
}

/** Gives what is in Production after the last move. */
function follow(moves: readonly RecordedChange[]): number | null {
  let production: number | null = null;
  for (const [index, { kind, version, formerVersion, generation }] of moves.entries()) {
    const [from, to]: [number | null, number | null] =
      kind === 'promotion' ? [formerVersion, version] : [version, formerVersion];
    expect({ generation, from }).toEqual({ generation: index + 1, from: production });
    production = to;
  }
  return production;
}

async function expectOneEventEach(db: Queryable, modelName: string, moves: readonly RecordedChange[]): Promise<void> {
  const sent = await column(
    db,
    `SELECT key AS value FROM outbox WHERE kind IN ('model.promotion', 'model.rollback') AND payload ->> 'modelName' = $1
     ORDER BY id`,
    [modelName],
  );
  expect(sent).toEqual(moves.map(({ kind, idempotencyKey }) => `${kind}-${idempotencyKey}`));
  const audited = await column(
    db,
    `SELECT action || ' ' || subject || ' ' || (after ->> 'generation') AS value FROM audit_log
     WHERE action IN ('model.promote', 'model.roll_back') AND starts_with(subject, 'models/' || $1 || '/') ORDER BY id`,
    [modelName],
  );
  expect(audited).toEqual(
    moves.map(
      ({ kind, version, generation }) =>
        `${kind === 'promotion' ? 'model.promote' : 'model.roll_back'} models/${modelName}/versions/${version} ${generation}`,
    ),
  );
}

async function column(db: Queryable, sql: string, parameters: readonly unknown[]): Promise<unknown[]> {
  return (await db.query(sql, parameters)).flatMap((row) => Object.values(row));
}

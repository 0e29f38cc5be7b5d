import pg from 'pg';
import type { z } from 'zod';
import { errorCodeOf } from '../../contracts/errors.js';
import { camelCase } from '../../contracts/http/spelling.js';
import type { Logger } from '../../platform/logging.js';
import { toDatabaseError } from './database-faults.js';
import { subscribe } from './subscribe.js';

/** A row with camelCase column names. */
export type Row = Record<string, unknown>;

export interface Queryable {
  /** Runs a parameterised statement and returns its rows, unparsed. */
  query(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
  /** Runs a parameterised statement and returns its rows, parsed by `schema`. */
  rows<S extends z.ZodType>(schema: S, sql: string, parameters?: readonly unknown[]): Promise<z.output<S>[]>;
  /** The first row only; null if there is none. */
  row<S extends z.ZodType>(schema: S, sql: string, parameters?: readonly unknown[]): Promise<z.output<S> | null>;
}

export interface Database extends Queryable {
  /**
   * Runs `work` in a transaction: commits, or rolls back if it throws. Statements time out unless `isPatient`.
   */
  transaction<T>(work: (tx: Queryable) => Promise<T>, options?: { isPatient?: boolean }): Promise<T>;
  /** Listens on a NOTIFY channel over a separate connection that reconnects. Returns the function that stops it. */
  listen(channel: string, onMessage: (payload: string) => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  url: string;
  poolSize: number;
  logger: Logger;
  /** Time limit of a statement. */
  queryTimeoutMs?: number | undefined;
}

const connectTimeoutMs = 5_000;
/** Maximum delay of a timer. */
const patientTimeoutMs = 2 ** 31 - 1;

/**
 * A connection pool. Connects on first use. Connection faults are thrown as `database_unavailable`; a lost server does
 * not end the process.
 */
export function createDatabase({ url, poolSize, logger, queryTimeoutMs = 60_000 }: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    application_name: 'perennial',
  });
  pool.on('error', (error) => logger.warn({ error }, 'an idle Postgres connection was lost'));
  const stops = new Set<() => Promise<void>>();
  return {
    ...queryableOn(pool),
    transaction: (work, { isPatient = false } = {}) =>
      inTransaction(pool, work, isPatient ? patientTimeoutMs : queryTimeoutMs),
    async listen(channel, onMessage) {
      const unsubscribe = await subscribe({ url, channel, onMessage, logger });
      const stop = async (): Promise<void> => {
        stops.delete(stop);
        await unsubscribe();
      };
      stops.add(stop);
      return stop;
    },
    async close() {
      await Promise.all([...stops].map((stop) => stop()));
      await pool.end();
    },
  };
}

function queryableOn(client: pg.Pool | pg.PoolClient, timeoutMs?: number): Queryable {
  const query = async (sql: string, parameters: readonly unknown[] = []): Promise<Row[]> => {
    try {
      // Several statements in one query (a migration) return several results.
      const config = { text: sql, values: [...parameters], query_timeout: timeoutMs };
      const results = [await client.query<Row>(config)].flat();
      return results.flatMap(({ rows }) => rows.map(camelCased));
    } catch (error) {
      throw toDatabaseError(error);
    }
  };
  const rows = async <S extends z.ZodType>(
    schema: S,
    sql: string,
    parameters?: readonly unknown[],
  ): Promise<z.output<S>[]> => {
    const found = await query(sql, parameters);
    return found.map((row) => schema.parse(row));
  };
  return {
    query,
    rows,
    row: async (schema, sql, parameters) => (await rows(schema, sql, parameters))[0] ?? null,
  };
}

async function inTransaction<T>(pool: pg.Pool, work: (tx: Queryable) => Promise<T>, timeoutMs: number): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw toDatabaseError(error);
  });
  // The pool handles errors of idle connections only; without this handler a lost connection ends the process.
  const ignore = (): void => undefined;
  client.on('error', ignore);
  let broken = false;
  try {
    const tx = queryableOn(client, timeoutMs);
    await tx.query('BEGIN');
    const result = await work(tx);
    await tx.query('COMMIT');
    return result;
  } catch (error) {
    // A server that does not answer would not answer this either; it rolls back when the connection ends.
    broken = errorCodeOf(error) === 'database_unavailable';
    if (!broken) {
      await client.query('ROLLBACK').catch(() => {
        broken = true;
      });
    }
    throw error;
  } finally {
    client.off('error', ignore);
    client.release(broken);
  }
}

const camelNames = new Map<string, string>();

function camelCased(row: Row): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [camelName(name), value]));
}

function camelName(name: string): string {
  const known = camelNames.get(name);
  if (known !== undefined) return known;
  const camel = camelCase(name);
  camelNames.set(name, camel);
  return camel;
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { createLogger } from '../../../../platform/logging.js';
import { createDatabase, type Database } from '../../../../stores/postgres/database.js';
import { migrate } from '../../../../stores/postgres/migrate.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';

const logger = createLogger('test', 'silent');
const numberRow = z.object({ n: z.number() });

let records: TestDatabase;
let db: Database;
beforeAll(async () => {
  records = await startTestDatabase();
  db = records.db;
  await db.query('CREATE TABLE numbers (n integer PRIMARY KEY)');
});
afterAll(() => records.stop());

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe('the database', () => {
  it('returns rows in camel case, checked against their schema', async () => {
    expect(await db.query('SELECT 1 AS first_thing, $1::text AS other', ['x'])).toEqual([
      { firstThing: 1, other: 'x' },
    ]);
    await expect(db.rows(numberRow, `SELECT 'text' AS n`)).rejects.toThrow(/expected number/);
    expect(await db.row(numberRow, 'SELECT 1 AS n WHERE false')).toBeNull();
  });

  it('treats parameters as values, whatever they hold', async () => {
    const text = `'; DROP TABLE numbers; -- "$1" \\`;
    expect(await db.query('SELECT $1::text AS text', [text])).toEqual([{ text }]);
  });

  it('throws bad_request for text that it cannot store', async () => {
    await expect(db.query('SELECT $1::text', ['a\0b'])).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('rolls a transaction back when its work throws, and releases the connection', async () => {
    for (let index = 0; index < 30; index += 1) {
      const failing = db.transaction(async (tx) => {
        await tx.query('INSERT INTO numbers VALUES (1)');
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
    }
    expect(await db.query('SELECT * FROM numbers')).toEqual([]);
  });

  it('throws database_unavailable when no server listens at the address', async () => {
    const nowhere = createDatabase({ url: 'postgres://x@127.0.0.1:9/x', poolSize: 2, logger });
    await expect(nowhere.query('SELECT 1')).rejects.toMatchObject({ code: 'database_unavailable' });
    await expect(nowhere.transaction((tx) => tx.query('SELECT 1'))).rejects.toMatchObject({
      code: 'database_unavailable',
    });
    await nowhere.close();
  });

  it('continues after Postgres ended all connections, in and between transactions', async () => {
    const endOthers =
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL';
    await Promise.all([1, 2, 3].map(() => db.query('SELECT pg_sleep(0.05)')));
    const cut = db.transaction(async (tx) => {
      await tx.query('INSERT INTO numbers VALUES (7)');
      await db.query(endOthers);
      await tx.query('SELECT 1');
    });
    await expect(cut).rejects.toMatchObject({ code: 'database_unavailable' });
    await until(async () => (await db.query('SELECT 1').catch(() => [])).length === 1);
    expect(await db.query('SELECT * FROM numbers')).toEqual([]);
  });

  it('reconnects after Postgres was unavailable, and listens again', async () => {
    const heard: string[] = [];
    const stop = await db.listen('news', (payload) => heard.push(payload));
    await records.postgres.pause();
    await expect(db.query('SELECT 1')).rejects.toMatchObject({ code: 'database_unavailable' });
    await records.postgres.resume();
    await until(async () => {
      await db.query(`SELECT pg_notify('news', 'again')`).catch(() => undefined);
      return heard.includes('again');
    });
    await stop();
    const before = heard.length;
    await db.query(`SELECT pg_notify('news', 'after the end')`);
    expect(heard.length).toBe(before);
  });
});

describe('migrations', () => {
  async function freshDatabase(name: string, queryTimeoutMs?: number): Promise<Database> {
    await db.query(`CREATE DATABASE ${name}`);
    const url = new URL(records.url);
    url.pathname = `/${name}`;
    return createDatabase({ url: url.href, poolSize: 4, logger, queryTimeoutMs });
  }

  it('run once, also when several processes start at the same time', async () => {
    const fresh = await freshDatabase('raced');
    await Promise.all([migrate(fresh), migrate(fresh), migrate(fresh)]);
    const applied = await fresh.rows(
      z.object({ name: z.string() }),
      'SELECT name FROM schema_migrations ORDER BY name',
    );
    expect(applied[0]?.name).toBe('0001-datasets.sql');
    expect(new Set(applied.map(({ name }) => name)).size).toBe(applied.length);
    await fresh.close();
  });

  it('leave nothing behind when one of them fails', async () => {
    const fresh = await freshDatabase('failed');
    const folder = mkdtempSync(join(tmpdir(), 'perennial-test-migrations-'));
    writeFileSync(join(folder, '0001-good.sql'), 'CREATE TABLE good (n integer);');
    writeFileSync(join(folder, '0002-bad.sql'), 'CREATE TABLE bad (n nonsense);');
    await expect(migrate(fresh, folder)).rejects.toThrow(/nonsense/);
    expect(await fresh.query(`SELECT FROM pg_tables WHERE tablename IN ('good', 'schema_migrations')`)).toEqual([]);
    rmSync(folder, { recursive: true });
    await fresh.close();
  });

  it('have no timeout, and neither has a process that waits for them', async () => {
    const impatient = await freshDatabase('slow', 300);
    const folder = mkdtempSync(join(tmpdir(), 'perennial-test-migrations-'));
    writeFileSync(join(folder, '0001-slow.sql'), 'SELECT pg_sleep(1); CREATE TABLE slow (id integer);');
    try {
      await Promise.all([migrate(impatient, folder), migrate(impatient, folder)]);
      expect(await impatient.query('SELECT * FROM slow')).toEqual([]);
      await expect(impatient.query('SELECT pg_sleep(5)')).rejects.toMatchObject({ code: 'database_unavailable' });
    } finally {
      rmSync(folder, { recursive: true });
      await impatient.close();
    }
  });

  it('refuse a database that a newer release has migrated', async () => {
    const fresh = await freshDatabase('newer');
    await migrate(fresh);
    await fresh.query(`INSERT INTO schema_migrations (name) VALUES ('9999-future.sql')`);
    await expect(migrate(fresh)).rejects.toMatchObject({ code: 'conflict' });
    await fresh.close();
  });
});

import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { GetObjectCommand, CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import pg from 'pg';
import { searchAttributes } from '../../../contracts/names.js';
import { localPostgres } from '../../../infra/local/postgres.js';
import { startObjectStore, startPostgres, startTemporal } from '../../support/services.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('the local Postgres', () => {
  it('keeps its data when it is killed, requires its password, and stores text as UTF-8', async () => {
    const postgres = await startPostgres();
    try {
      await query(postgres.url, `CREATE TABLE t AS SELECT 'Löwenzahn' AS word`);
      process.kill(postgres.pid(), 'SIGKILL');
      await postgres.pause();
      await postgres.resume();
      expect(await query(postgres.url, 'SELECT word FROM t')).toEqual([{ word: 'Löwenzahn' }]);
      expect(await query(postgres.url, 'SHOW server_encoding')).toEqual([{ server_encoding: 'UTF8' }]);
      expect(await query(postgres.url, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
      const wrong = new URL(postgres.url);
      wrong.password = 'wrong';
      await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow('password authentication failed');
    } finally {
      await postgres.stop();
    }
  });

  it('with data of another major version is refused with both versions', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'data'));
    writeFileSync(join(folder, 'data', 'PG_VERSION'), '15\n');
    expect(() => localPostgres({ folder, port: 1 })).toThrow(/written by Postgres 15; this is Postgres 18/);
  });
});

describe('the local S3 server', () => {
  it('keeps its objects when it is killed, and refuses a wrong secret', async () => {
    const store = await startObjectStore();
    const client = (secretAccessKey: string): S3Client =>
      new S3Client({
        endpoint: store.endpoint,
        region: store.environment['S3_REGION'] ?? '',
        forcePathStyle: true,
        credentials: { accessKeyId: store.environment['S3_ACCESS_KEY_ID'] ?? '', secretAccessKey },
      });
    const own = client(store.environment['S3_SECRET_ACCESS_KEY'] ?? '');
    const object = { Bucket: 'perennial', Key: 'raw/files/md5/aa/bb' };
    try {
      await own.send(new CreateBucketCommand({ Bucket: 'perennial' }));
      const body = randomBytes(50_000);
      await own.send(new PutObjectCommand({ ...object, Body: body }));
      process.kill(store.pid(), 'SIGKILL');
      await store.pause();
      await store.resume();
      const kept = await (await own.send(new GetObjectCommand(object))).Body?.transformToByteArray();
      expect(Buffer.from(kept ?? []).equals(body)).toBe(true);
      await expect(client('another-secret').send(new GetObjectCommand(object))).rejects.toThrow(/[Ss]ignature/);
    } finally {
      await store.stop();
    }
  });
});

describe('the local Temporal', () => {
  it('has our search attributes, serves its Web UI, and keeps its workflows when it is killed', async () => {
    const temporal = await startTemporal({ onDisk: true });
    try {
      let connection = await Connection.connect({ address: temporal.address });
      const known = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
      expect(Object.keys(known.customAttributes)).toEqual(expect.arrayContaining([...searchAttributes]));
      const start = { workflowId: 'kept', taskQueue: 'without-a-worker', args: [] };
      await new Client({ connection }).workflow.start('anything', start);
      await connection.close();
      process.kill(temporal.pid(), 'SIGKILL');
      await temporal.pause();
      await temporal.resume();
      connection = await Connection.connect({ address: temporal.address });
      const { status } = await new Client({ connection }).workflow.getHandle('kept').describe();
      expect(status.name).toBe('RUNNING');
      await connection.close();
      const page = await fetch(temporal.uiUrl);
      expect(await page.text()).toContain('<html');
    } finally {
      await temporal.stop();
    }
  });
});

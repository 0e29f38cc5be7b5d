import { configuredChannels } from '../../../activities/notifications/channels.js';
import { toTemporalFailure } from '../../../activities/runtime/interceptor.js';
import { smokeTest } from '../../../activities/promotion/smoke-test.js';
import { loadConfig } from '../../../platform/config.js';
import { createLogger } from '../../../platform/logging.js';
import { createTemporalLink } from '../../../api/workflows/temporal-link.js';
import { createHealthReporter } from '../../../api/health/health.js';
import { problemOf, toPerennialError } from '../../../api/http/problems.js';
import { createObjectStore } from '../../../stores/objects/object-store.js';
import { createDatabase } from '../../../stores/postgres/database.js';
import { startNotificationFixture, type NotificationFixture } from '../../support/notification-fixture.js';
import { createRequests } from '../../support/requests.js';
import { startApi, type ServedApi } from '../../support/served-api.js';

/** Stands in every secret of this suite. */
const canary = 'canary';
const secret = (name: string): string => `${canary}-of-the-${name}`;

let fixture: NotificationFixture;
let served: ServedApi;
beforeAll(async () => {
  fixture = await startNotificationFixture();
  served = await startApi({
    DATABASE_URL: fixture.records.url,
    REPLICA_URL: `http://ada:${secret('replica')}@127.0.0.1:9`,
    PUBLIC_URL: `https://ada:${secret('public')}@perennial.example`,
    TEMPORAL_UI_URL: `http://ada:${secret('temporal-ui')}@127.0.0.1:9`,
  });
});
afterAll(async () => {
  await served.stop();
  await fixture.stop();
});

const { ask } = createRequests(() => served.url);

/** Every row of the database, as text. A replica's own URL stays complete: other processes need it. */
async function storedText(): Promise<string> {
  const { db } = fixture.records;
  const tables = await db.query(
    `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
     AND table_name <> 'replicas'`,
  );
  const texts: string[] = [];
  for (const { tableName } of tables) texts.push(JSON.stringify(await db.query(`SELECT * FROM ${String(tableName)}`)));
  return texts.join('\n');
}

describe('the secrets of notification channels', () => {
  it('are used, and appear in no log line, stored row or answer, however the receiver fails', async () => {
    const echo = await fixture.receiver(({ path, headers }) => ({
      status: 500,
      body: `cannot post to ${path} with ${String(headers.authorization)}`,
    }));
    const { port } = new URL(echo.url);
    const lines: string[] = [];
    const logger = createLogger('test', 'trace', { write: (line) => void lines.push(line) });
    const config = loadConfig({
      NOTIFY_WEBHOOK_URL: `http://ada:${secret('password')}@127.0.0.1:${port}/hook?token=${secret('query')}`,
      NOTIFY_WEBHOOK_SECRET: secret('signature'),
      NOTIFY_SLACK_WEBHOOK_URL: `http://127.0.0.1:${port}/services/T1/${secret('slack')}`,
      SMTP_URL: `smtp://ada:${secret('mail')}@127.0.0.1:${port}`,
      NOTIFY_EMAIL_FROM: 'perennial@example.org',
      NOTIFY_EMAIL_TO: 'ada@example.org',
      NOTIFY_TIMEOUT_MS: '5000',
    });
    await fixture.dispatch(configuredChannels(config, logger), {}, logger);
    await fixture.add(1);
    await fixture.until(([message]) =>
      ['webhook', 'slack', 'email'].every((name) =>
        message?.deliveries.some(({ channel, lastError }) => channel === name && lastError !== null),
      ),
    );
    const basic = Buffer.from(`ada:${secret('password')}`).toString('base64');
    const hook = echo.received.find(({ path }) => path.startsWith('/hook'));
    expect(hook).toMatchObject({
      path: `/hook?token=${secret('query')}`,
      headers: { authorization: `Basic ${basic}` },
    });

    const shown = [
      lines.join('\n'),
      await storedText(),
      ...(await Promise.all(
        ['/health', '/metrics', '/api/v1/notifications', '/api/v1/audit'].map(async (path) => (await ask(path)).text()),
      )),
    ].join('\n');
    expect(shown).toContain('cannot post to');
    expect(shown).not.toContain(canary);
    expect(shown).not.toContain(basic);
    await fixture.clear();
  });
});

describe('the secrets of a service', () => {
  const url = (name: string, protocol = 'http'): string => `${protocol}://ada:${secret(name)}@127.0.0.1:9/perennial`;

  it('appear in no problem, failure of an activity, health report or log line when it cannot be reached', async () => {
    const config = loadConfig({
      DATABASE_URL: url('database', 'postgresql'),
      S3_ENDPOINT: url('s3'),
      S3_ACCESS_KEY_ID: 'ada',
      S3_SECRET_ACCESS_KEY: secret('s3-key'),
      TEMPORAL_API_KEY: secret('temporal-key'),
      PUBLIC_DATASET_URL: url('dataset'),
    });
    const lines: string[] = [];
    const logger = createLogger('test', 'trace', { write: (line) => void lines.push(line) });
    const database = createDatabase({ url: url('database', 'postgresql'), poolSize: 2, logger });
    const objects = createObjectStore({ ...config, S3_ENDPOINT: url('s3') });
    const temporal = createTemporalLink({
      address: '127.0.0.1:9',
      namespace: 'default',
      apiKey: config.TEMPORAL_API_KEY,
      tls: false,
    });
    const probes = {
      database: () => database.query('SELECT 1'),
      objects: () => objects.head('x'),
      temporal: () => temporal.probe(),
      fetch: () => fetch(url('dataset')),
    };
    const shown: unknown[] = [
      await createHealthReporter({ version: '0.0.0', modelName: 'm', host: { current: () => null }, probes }).report(),
      await smokeTest(url('replica'), new Uint8Array(), 1),
    ];
    for (const probe of Object.values<() => Promise<unknown>>(probes)) {
      const error: unknown = await probe().catch((failure: unknown) => failure);
      const failure = toTemporalFailure(error, 1);
      logger.warn({ error, failure }, String(error));
      shown.push(problemOf(toPerennialError(error), '/', 'trace'), String(failure));
      for (let cause = failure; cause instanceof Error; cause = cause.cause) shown.push(cause.message, cause.stack);
    }
    await temporal.close();
    objects.close();
    await database.close();
    expect(shown).toHaveLength(shown.filter((each) => each !== undefined).length);
    expect(JSON.stringify(shown) + lines.join('\n')).not.toContain(canary);
  });

  it('appear in no link of an answer', async () => {
    const { db } = fixture.records;
    await db.query(
      `INSERT INTO outbox (key, kind, payload) VALUES ('link', 'pipeline.failed',
         '{"runId": "r1", "workflow": "retrainingPipeline", "modelName": "m", "error": {"message": "x"}}')`,
    );
    await db.query(
      `INSERT INTO pipelines (run_id, workflow_id, workflow, trigger) VALUES ('r', 'w', 'ingestDataset', 'manual')`,
    );
    const texts = await Promise.all(
      ['/api/v1/notifications', '/api/v1/pipelines', '/api/v1/pipelines/r'].map(async (path) =>
        (await ask(path)).text(),
      ),
    );
    expect(texts.join('\n')).toContain('https://perennial.example/');
    expect(texts.join('\n')).toContain('http://127.0.0.1:9/namespaces/default');
    expect(texts.join('\n')).not.toContain(canary);
  });
});

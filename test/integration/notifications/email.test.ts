import { createEmailChannel } from '../../../activities/notifications/email.js';
import { createWebhookChannel } from '../../../activities/notifications/webhook.js';
import type { Channel } from '../../../activities/notifications/channel.js';
import { freePorts } from '../../../infra/local/ports.js';
import { createNotificationStore } from '../../../stores/notifications/notifications.js';
import { allAre, startNotificationFixture, type NotificationFixture } from '../../support/notification-fixture.js';
import { poll } from '../../support/api-client.js';
import { startMailServer, type MailServer } from '../../support/receivers.js';

const to = ['ada@example.org', 'grace@example.org'];
const by = { name: 'tester', via: 'system', from: 'test', requestId: null } as const;

let fixture: NotificationFixture;
let port = 0;
let server: MailServer | null = null;
beforeAll(async () => {
  fixture = await startNotificationFixture();
});
beforeEach(async () => {
  [port = 0] = await freePorts(1);
});
afterEach(async () => {
  await fixture.clear();
  await server?.stop();
  server = null;
});
afterAll(() => fixture.stop());

const serverUp = async (): Promise<MailServer> => (server = await startMailServer(port));
/** The channel gives up before the dispatcher does, so that only one of both can say what was wrong. */
const mail = (timeoutMs = 10_000): Channel =>
  createEmailChannel({
    smtpUrl: `smtp://127.0.0.1:${port}`,
    from: 'Perennial <perennial@example.org>',
    to,
    kinds: ['*'],
    timeoutMs,
  });

describe('e-mail', () => {
  it('goes to all recipients once, with subject, text, link and a unique id', async () => {
    const { mails } = await serverUp();
    await fixture.dispatch([mail()]);
    await fixture.records.db.query(
      `INSERT INTO outbox (key, kind, payload) VALUES ('m', 'pipeline.failed',
         '{"runId": "r1", "workflow": "retrainingPipeline", "modelName": "roses", "error": {"message": "No disk."}}')`,
    );
    const [message] = await fixture.until(allAre('sent'));
    expect(mails.map(({ recipients }) => recipients)).toEqual([to]);
    // Quoted-printable breaks long lines with `=`, where depends on the text before.
    const source = (mails[0]?.source ?? '').replaceAll('=\r\n', '');
    expect(source).toMatch(/^Subject: \[Perennial\] roses: retrainingPipeline failed\r$/m);
    expect(source).toContain(`Message-ID: <${message?.deliveries[0]?.deliveryId ?? ''}@perennial>`);
    expect(source).toMatch(/^To: ada@example.org, grace@example.org\r$/m);
    expect(source).toContain('No disk.');
    expect(source).toContain('https://perennial.example/api/v1/pipelines/r1');
  });

  it('that is refused for one recipient reaches the other once, and the first when it is accepted', async () => {
    const { mails, refused } = await serverUp();
    refused.add('grace@example.org');
    await fixture.dispatch([mail()]);
    await fixture.add(1);
    const [waiting] = await fixture.until(([one]) => (one?.deliveries[0]?.attempts ?? 0) >= 3);
    expect(waiting?.deliveries[0]?.status).toBe('waiting');
    expect(waiting?.deliveries[0]?.lastError).toMatch(/550 there is no grace/);
    expect(mails.map(({ recipients }) => recipients)).toEqual([['ada@example.org']]);
    refused.clear();
    await fixture.until(allAre('sent'));
    expect(mails.map(({ recipients }) => recipients)).toEqual([['ada@example.org'], ['grace@example.org']]);
  });

  it('that is refused permanently is given up, and goes to all recipients when it is resent', async () => {
    const { mails, refused } = await serverUp();
    for (const address of to) refused.add(address);
    await fixture.dispatch([mail()], { giveUpAfterMs: 1 });
    await fixture.add(1);
    const [dead] = await fixture.until(allAre('dead'));
    expect(mails).toEqual([]);
    refused.clear();
    const store = createNotificationStore(fixture.records.db);
    for (const sent of [1, 2]) {
      await store.resend(dead?.id ?? 0, 'email', by);
      await fixture.until(() => mails.length === sent);
      await fixture.until(allAre('sent'));
    }
    expect(mails.map(({ recipients }) => recipients)).toEqual([to, to]);
  });

  it('waits for a server that is down, without delaying other messages', async () => {
    const hook = await fixture.receiver();
    await fixture.dispatch([mail(), createWebhookChannel({ url: hook.url, secret: 'secret', kinds: ['*'] })]);
    await fixture.add(3);
    await poll(
      () => Promise.resolve(hook.received),
      ({ length }) => length === 3,
    );
    const [waiting] = await fixture.until(([one]) => (one?.deliveries[0]?.attempts ?? 0) >= 2);
    expect(waiting?.deliveries[0]).toMatchObject({ channel: 'email', status: 'waiting' });
    expect(waiting?.deliveries[0]?.lastError).toContain('ECONNREFUSED');
    const { mails } = await serverUp();
    await fixture.until(allAre('sent'));
    expect(mails).toHaveLength(3);
  });

  it('ends the attempt at a server that accepts the connection and sends nothing', async () => {
    const silent = await fixture.receiver(() => 'silence');
    port = Number(new URL(silent.url).port);
    await fixture.dispatch([mail(400)]);
    await fixture.add(1);
    const [waiting] = await fixture.until(([one]) => (one?.deliveries[0]?.attempts ?? 0) >= 2);
    expect(waiting?.deliveries[0]?.lastError).toBe('The mail server did not answer within 400 ms.');
  });

  it('ends the attempt at such a server also when the dispatcher is the first to give up', async () => {
    const silent = await fixture.receiver(() => 'silence');
    port = Number(new URL(silent.url).port);
    await fixture.dispatch([mail()], { timeoutMs: 400 });
    await fixture.add(1);
    const [waiting] = await fixture.until(([one]) => (one?.deliveries[0]?.attempts ?? 0) >= 2);
    expect(waiting?.deliveries[0]?.lastError).toBe('The receiver did not answer within 400 ms.');
  });
});

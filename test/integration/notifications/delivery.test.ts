import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { pino } from 'pino';
import { z } from 'zod';
import { createLogChannel } from '../../../activities/notifications/log.js';
import { createSlackChannel } from '../../../activities/notifications/slack.js';
import { createWebhookChannel } from '../../../activities/notifications/webhook.js';
import type { Channel } from '../../../activities/notifications/channel.js';
import { packageRoot } from '../../../platform/paths.js';
import { createDeliveryStore } from '../../../stores/notifications/deliveries.js';
import { createNotificationStore } from '../../../stores/notifications/notifications.js';
import { allAre, startNotificationFixture, type NotificationFixture } from '../../support/notification-fixture.js';
import { poll } from '../../support/api-client.js';
import { blocksOf, readPage } from '../../support/documented-commands.js';
import { startProgram } from '../../support/program.js';
import type { Answer, Received, Receiver } from '../../support/receivers.js';

const secret = 'a secret of tests';
const bodySchema = z.object({
  id: z.string(),
  kind: z.string(),
  created_at: z.iso.datetime(),
  text: z.string(),
  payload: z.object({ run_number: z.number() }),
});
const numberIn = ({ body }: Received): number => bodySchema.parse(JSON.parse(body)).payload.run_number;
const numbersIn = ({ received }: Receiver): number[] => received.map(numberIn).sort((a, b) => a - b);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const by = { name: 'tester', via: 'system', from: 'test', requestId: null } as const;

let fixture: NotificationFixture;
beforeAll(async () => {
  fixture = await startNotificationFixture();
});
afterEach(() => fixture.clear());
afterAll(() => fixture.stop());

const checkModule = z.object({
  isOurs: z.custom<(header: string, body: string, key: string) => boolean>((value) => typeof value === 'function'),
});

/** The check of a signature that the page on notifications shows. */
async function documentedCheck(): Promise<z.infer<typeof checkModule>['isOurs']> {
  const [script = ''] = blocksOf(readPage('docs/notifications.md'), 'js');
  const loaded: unknown = await import(`data:text/javascript,${encodeURIComponent(`${script}\nexport { isOurs };`)}`);
  return checkModule.parse(loaded).isOurs;
}

const webhookTo = ({ url }: Receiver, kinds = ['*']): Channel => createWebhookChannel({ url, secret, kinds });
const slackTo = ({ url }: Receiver): Channel => createSlackChannel({ url, kinds: ['*'] });

describe('a webhook', () => {
  it('gets a signed message, after three failures under the same delivery id', async () => {
    const hook = await fixture.receiver((_, number) => ({ status: number <= 3 ? 500 : 200 }));
    await fixture.dispatch([webhookTo(hook)]);
    await fixture.add(1);
    const [message] = await fixture.until(([first]) => first !== undefined && first.doneAt !== null);
    expect(allAre('sent')(message ? [message] : [])).toBe(true);
    expect(message?.deliveries).toMatchObject([{ channel: 'webhook', attempts: 4, lastError: null }]);
    expect(hook.received).toHaveLength(4);
    expect(new Set(hook.received.map(({ headers }) => headers['x-perennial-delivery']))).toEqual(
      new Set([message?.deliveries[0]?.deliveryId]),
    );
    const isOurs = await documentedCheck();
    for (const { headers, body } of hook.received) {
      const [, at = '', digest = ''] =
        /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['x-perennial-signature'])) ?? [];
      expect(createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')).toBe(digest);
      expect(Math.abs(Date.now() / 1000 - Number(at))).toBeLessThan(10);
      const documented = isOurs(String(headers['x-perennial-signature']), body, secret);
      expect([documented, isOurs(`t=${at},v1=${digest}`, `${body} `, secret)]).toEqual([true, false]);
      expect(bodySchema.parse(JSON.parse(body))).toMatchObject({ id: String(message?.id), kind: 'note.made' });
    }
  });

  it('follows no redirect to another host, but one to another path', async () => {
    const elsewhere = await fixture.receiver();
    const hook = await fixture.receiver(({ path }) =>
      path === '/hook' ? { status: 308, headers: { location: '/moved' } } : { status: 200 },
    );
    const leaving = await fixture.receiver(() => ({ status: 307, headers: { location: elsewhere.url } }));
    await fixture.dispatch([webhookTo(hook), slackTo(leaving)]);
    await fixture.add(1);
    const [message] = await fixture.until(
      ([first]) => first?.deliveries.some(({ lastError }) => lastError !== null) === true,
    );
    expect(message?.deliveries.find(({ channel }) => channel === 'slack')?.lastError).toMatch(/307.*not followed/);
    await poll(
      () => Promise.resolve(hook.received),
      ({ length }) => length === 2,
    );
    expect(hook.received.map(({ path }) => path)).toEqual(['/hook', '/moved']);
    expect(elsewhere.received).toEqual([]);
  });
});

describe('Slack', () => {
  it('gets text and blocks in which all values are escaped', async () => {
    const slack = await fixture.receiver();
    await fixture.dispatch([slackTo(slack)]);
    await fixture.records.db.query(
      `INSERT INTO outbox (key, kind, payload) VALUES ('s', 'model.promotion',
         '{"modelName": "roses", "version": 2, "formerVersion": 1, "actor": "ada", "reason": "<!channel> & more"}')`,
    );
    await fixture.until(allAre('sent'));
    const body = slack.received[0]?.body ?? '';
    expect(JSON.parse(body)).toMatchObject({
      blocks: [{ type: 'header' }, { type: 'section' }, { type: 'section' }, { type: 'context' }],
    });
    expect(body).toContain('"text":"roses: version 2 is in Production');
    expect(body).toContain('&lt;!channel&gt; &amp; more');
    expect(body).toContain('<https://perennial.example/api/v1/mlops/models/roses/versions>');
  });
});

describe('a receiver that is unavailable', () => {
  it('delays neither other channels nor later messages of its own', async () => {
    const hook = await fixture.receiver((request) => (numberIn(request) === 1 ? 'silence' : { status: 200 }));
    const slack = await fixture.receiver();
    await fixture.dispatch([webhookTo(hook), slackTo(slack)], { timeoutMs: 3_000 });
    await fixture.add(12);
    await poll(
      () => Promise.resolve([slack.received.length, new Set(hook.received.map(numberIn)).size]),
      ([toSlack = 0, toHook = 0]) => toSlack === 12 && toHook === 12,
      30_000,
    );
    const [first, ...others] = await fixture.until(([one]) => (one?.deliveries[1]?.attempts ?? 0) > 1);
    expect(first?.deliveries).toMatchObject([
      { channel: 'slack', status: 'sent', attempts: 1 },
      { channel: 'webhook', status: 'waiting', lastError: 'The receiver did not answer within 3000 ms.' },
    ]);
    expect(first?.doneAt).toBeNull();
    expect(allAre('sent')(others)).toBe(true);
  });

  it('is given up after a while, is counted, and gets the message when it is resent', async () => {
    let status = 503;
    const hook = await fixture.receiver(() => ({ status, body: 'out to lunch' }));
    const store = createNotificationStore(fixture.records.db);
    const logged: string[] = [];
    await fixture.dispatch(
      [webhookTo(hook), createLogChannel(pino({ messageKey: 'message' }, { write: (line) => void logged.push(line) }))],
      {
        giveUpAfterMs: 300,
      },
    );
    await fixture.add(1);
    const [dead] = await fixture.until(([one]) => one?.deliveries[1]?.status === 'dead');
    expect(dead?.doneAt).not.toBeNull();
    expect(dead?.deliveries[1]).toMatchObject({ lastError: 'The receiver answered 503: out to lunch' });
    expect(await store.counts()).toEqual([
      { channel: 'log', waiting: 0, dead: 0 },
      { channel: 'webhook', waiting: 0, dead: 1 },
    ]);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatch(/"kind":"note\.made".*"message":"note\.made/);
    status = 200;
    const tries = hook.received.length;
    expect(tries).toBeGreaterThan(1);
    await store.resend(dead?.id ?? 0, null, by);
    const [sent] = await fixture.until(allAre('sent'));
    expect(sent?.doneAt).not.toBeNull();
    expect(hook.received).toHaveLength(tries + 1);
    expect(logged).toHaveLength(1);
  });
});

describe('several dispatchers', () => {
  it('send each of fifty messages once', async () => {
    const hook = await fixture.receiver();
    await Promise.all([fixture.dispatch([webhookTo(hook)]), fixture.dispatch([webhookTo(hook)])]);
    await fixture.add(50);
    await fixture.until((messages) => messages.length === 50 && allAre('sent')(messages));
    expect(numbersIn(hook)).toEqual(upTo(50));
  });

  it('resend a message whose sender was killed, once and with the same id, when its lease has expired', async () => {
    const hook = await fixture.receiver((_, number) => (number <= 3 ? 'silence' : { status: 200 }));
    const program = startProgram([
      join(packageRoot, 'dist/test/support/programs/dispatcher.js'),
      fixture.records.url,
      hook.url,
    ]);
    await program.line(/^up$/);
    await poll(
      () => fixture.records.db.query('SELECT FROM notification_channels'),
      ({ length }) => length === 1,
    );
    await fixture.add(3);
    await poll(
      () => Promise.resolve(hook.received),
      ({ length }) => length === 3,
    );
    program.process.kill('SIGKILL');
    await program.ended;
    await fixture.dispatch([webhookTo(hook)]);
    await fixture.add(1);
    const messages = await fixture.until(allAre('sent'));
    expect(messages.map(({ deliveries }) => deliveries[0]?.attempts)).toEqual([2, 2, 2, 1]);
    const ids = hook.received.map(({ headers }) => String(headers['x-perennial-delivery']));
    expect(ids).toHaveLength(7);
    expect(new Set(ids)).toEqual(new Set(messages.map(({ deliveries }) => deliveries[0]?.deliveryId)));
  });

  it('release unfinished deliveries when they stop, and ignore a late failure', async () => {
    const deliveries = createDeliveryStore(fixture.records.db);
    let answer: Answer = 'silence';
    const hook = await fixture.receiver(() => answer);
    const first = await fixture.dispatch([webhookTo(hook)], { timeoutMs: 30_000, leaseMs: 60_000 });
    await fixture.add(1);
    await poll(
      () => Promise.resolve(hook.received),
      ({ length }) => length === 1,
    );
    await first.stop(50);
    const [late] = await deliveries.take('webhook', 1, 1);
    if (!late) throw new Error('nothing was given back');
    answer = { status: 200 };
    await fixture.dispatch([webhookTo(hook)]);
    await fixture.until(allAre('sent'));
    const failure = { error: 'late', retryInMs: 1, giveUpAfterMs: 0, reached: [] };
    expect(await deliveries.markFailed(late, failure)).toEqual({ isDead: false });
    expect(allAre('sent')(await fixture.messages())).toBe(true);
  });
});

describe('a dispatcher whose database is unavailable', () => {
  it('continues when it is available again', async () => {
    const hook = await fixture.receiver();
    await fixture.dispatch([webhookTo(hook)]);
    await fixture.records.postgres.pause();
    await fixture.records.postgres.resume();
    await fixture.add(2);
    await fixture.until((messages) => messages.length === 2 && allAre('sent')(messages));
    expect(numbersIn(hook)).toEqual([1, 2]);
  });
});

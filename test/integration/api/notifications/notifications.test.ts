import type { z } from 'zod';
import { createWebhookChannel } from '../../../../activities/notifications/webhook.js';
import { startDispatcher, type Dispatcher } from '../../../../activities/notifications/dispatcher.js';
import { notificationViewSchema } from '../../../../contracts/notifications/http-notifications.js';
import { pageOf } from '../../../../contracts/http/page.js';
import { outboxChannel } from '../../../../contracts/names.js';
import { createLogger } from '../../../../platform/logging.js';
import { createDeliveryStore } from '../../../../stores/notifications/deliveries.js';
import { createOutboxStore } from '../../../../stores/notifications/outbox.js';
import { poll } from '../../../support/api-client.js';
import { createRequests } from '../../../support/requests.js';
import { fastTiming } from '../../../support/notification-fixture.js';
import { startReceiver, type Receiver } from '../../../support/receivers.js';
import { startApi, type ServedApi } from '../../../support/served-api.js';
import { startPostgres, type TestService } from '../../../support/services.js';

type Notification = z.output<typeof notificationViewSchema>;

describe('notifications over HTTP', () => {
  let postgres: TestService;
  let served: ServedApi;
  let hook: Receiver;
  let dispatcher: Dispatcher;
  let status = 200;
  const { ask, answer, problem } = createRequests(() => served.url);

  beforeAll(async () => {
    postgres = await startPostgres();
    served = await startApi({ ...postgres.environment, PUBLIC_URL: 'https://perennial.example' });
    hook = await startReceiver(() => ({ status }));
    const { database } = served.api;
    dispatcher = await startDispatcher({
      deliveries: createDeliveryStore(database),
      channels: [createWebhookChannel({ url: hook.url, secret: 'secret', kinds: ['*'] })],
      subscribe: (onHint) => database.listen(outboxChannel, onHint),
      publicUrl: null,
      logger: createLogger('test', 'silent'),
      timing: { ...fastTiming, giveUpAfterMs: 200 },
    });
    // No worker runs here that could write the log.
    await database.query(`DELETE FROM notification_channels WHERE name = 'log'`);
  });
  afterAll(async () => {
    await dispatcher.stop(0);
    await hook.stop();
    await served.stop();
    await postgres.stop();
  });

  const list = async (query = ''): Promise<Notification[]> =>
    (await answer(pageOf(notificationViewSchema), `/api/v1/notifications?${query}`)).items;
  const untilStatus = (id: string, wanted: string): Promise<Notification[]> =>
    poll(
      async () => (await list('limit=200')).filter((message) => message.id === id),
      ([message]) => message?.deliveries[0]?.status === wanted,
    );
  const idOf = async (response: Response): Promise<string> => {
    expect(response.status).toBe(202);
    return notificationViewSchema.parse(await response.json()).id;
  };

  it('are shown with their text and a link, in snake case', async () => {
    const payload = { modelName: 'roses', version: 2, formerVersion: 1, actor: 'ada', reason: 'better' };
    await createOutboxStore(served.api.database).add('model.promotion', payload, { key: 'p' });
    const [sent] = await poll(
      () => list('kind=model.*'),
      ([message]) => message?.done_at !== null && message !== undefined,
    );
    expect(sent).toMatchObject({
      kind: 'model.promotion',
      subject: 'roses: version 2 is in Production',
      link: 'https://perennial.example/api/v1/mlops/models/roses/versions',
      payload: { model_name: 'roses', former_version: 1 },
      deliveries: [{ channel: 'webhook', status: 'sent', attempts: 1, next_attempt_at: null, last_error: null }],
    });
    expect(hook.received.at(-1)?.headers['x-perennial-delivery']).toBe(sent?.deliveries[0]?.delivery_id);
  });

  it('can be tested over the real path, and only on channels that a worker has', async () => {
    const id = await idOf(await ask('/api/v1/notifications/test', { method: 'POST', body: { channel: 'webhook' } }));
    const [sent] = await untilStatus(id, 'sent');
    expect(sent?.text).toContain('requested by ada');
    expect(hook.received.at(-1)?.body).toContain('notification.test');
    const refused = await problem('/api/v1/notifications/test', { method: 'POST', body: { channel: 'slack' } });
    expect(refused).toMatchObject({ status: 409, code: 'conflict' });
    expect(refused.detail).toContain('slack');
    expect(await problem('/api/v1/notifications/test', { method: 'POST', body: { channel: 'pigeon' } })).toMatchObject({
      status: 400,
    });
  });

  it('that are dead are counted, found by their status and sent again', async () => {
    status = 500;
    const id = await idOf(await ask('/api/v1/notifications/test', { method: 'POST', body: { channel: 'webhook' } }));
    await untilStatus(id, 'dead');
    expect((await list('status=dead')).map((message) => message.id)).toEqual([id]);
    // The metrics are at most a few seconds old.
    await poll(
      async () => (await fetch(`${served.url}/metrics`)).text(),
      (text) => text.includes('mlops_notifications_dead{channel="webhook"} 1'),
      9_000,
    );
    expect(await (await fetch(`${served.url}/metrics`)).text()).toContain(
      'mlops_notifications_waiting{channel="webhook"} 0',
    );
    status = 200;
    const path = `/api/v1/notifications/${id}/resend`;
    expect(await idOf(await ask(path, { method: 'POST', body: {} }))).toBe(id);
    await untilStatus(id, 'sent');
    expect(await list('status=dead')).toEqual([]);
    expect(await problem(path, { method: 'POST', body: {} })).toMatchObject({ status: 409, code: 'conflict' });
    expect(await problem(path, { method: 'POST', body: { channel: 'email' } })).toMatchObject({ status: 404 });
    const before = hook.received.length;
    await idOf(await ask(path, { method: 'POST', body: { channel: 'webhook' } }));
    await untilStatus(id, 'sent');
    await poll(
      () => Promise.resolve(hook.received.length),
      (received) => received === before + 1,
    );
    expect(await problem('/api/v1/notifications/9999999/resend', { method: 'POST', body: {} })).toMatchObject({
      status: 404,
      code: 'not_found',
    });
  });

  it('are listed page by page, newest first', async () => {
    const all = await list('limit=200');
    const first = await answer(pageOf(notificationViewSchema), '/api/v1/notifications?limit=2');
    const second = await answer(
      pageOf(notificationViewSchema),
      `/api/v1/notifications?limit=200&page_token=${first.next_page_token ?? ''}`,
    );
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(all.map(({ id }) => id));
    expect(await problem('/api/v1/notifications?kind=%25')).toMatchObject({ status: 400, code: 'bad_request' });
  });
});

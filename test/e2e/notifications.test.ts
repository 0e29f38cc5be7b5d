import { notificationViewSchema } from '../../contracts/notifications/http-notifications.js';
import { createApiClient, poll } from '../support/api-client.js';
import { startReceiver, type Receiver } from '../support/receivers.js';
import { startStack, type TestStack } from '../support/stack.js';

/** Notifications of the running product: the API adds them, the pipeline worker sends them. */
describe('notifications of the running product', () => {
  let hook: Receiver;
  let stack: TestStack;
  beforeAll(async () => {
    hook = await startReceiver();
    stack = await startStack({ NOTIFY_WEBHOOK_URL: hook.url, NOTIFY_WEBHOOK_SECRET: 'sixteen characters' });
  });
  afterAll(async () => {
    await stack.stop();
    await hook.stop();
  });

  it('are sent, also those that were added while the worker was down', async () => {
    const { post } = createApiClient(stack.apiUrl);
    const send = async (): Promise<string | undefined> => {
      const { status, body } = await post('/api/v1/notifications/test', { channel: 'webhook' });
      expect(status).toBe(202);
      return notificationViewSchema.parse(body).deliveries[0]?.delivery_id;
    };
    const received = (count: number): Promise<string[]> =>
      poll(
        () => Promise.resolve(hook.received.map(({ headers }) => String(headers['x-perennial-delivery']))),
        ({ length }) => length >= count,
      );
    const sent = [await send()];
    await received(1);
    await stack.kill('pipeline');
    sent.push(await send());
    await stack.start('pipeline');
    expect(new Set(await received(2))).toEqual(new Set(sent));
  });
});

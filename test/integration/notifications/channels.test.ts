import { createSlackChannel } from '../../../activities/notifications/slack.js';
import { createWebhookChannel } from '../../../activities/notifications/webhook.js';
import type { Channel } from '../../../activities/notifications/channel.js';
import { createDeliveryStore } from '../../../stores/notifications/deliveries.js';
import { allAre, startNotificationFixture, type NotificationFixture } from '../../support/notification-fixture.js';
import type { Receiver } from '../../support/receivers.js';

let fixture: NotificationFixture;
beforeAll(async () => {
  fixture = await startNotificationFixture();
});
afterEach(() => fixture.clear());
afterAll(() => fixture.stop());

const webhookTo = ({ url }: Receiver, kinds = ['*']): Channel => createWebhookChannel({ url, secret: 'secret', kinds });
const slackTo = ({ url }: Receiver): Channel => createSlackChannel({ url, kinds: ['*'] });

describe('channels', () => {
  it('that are added later get only later messages, of their kinds', async () => {
    const hook = await fixture.receiver();
    const slack = await fixture.receiver();
    const first = await fixture.dispatch([slackTo(slack)]);
    await fixture.add(1);
    await fixture.until(allAre('sent'));
    await first.stop(100);
    await fixture.add(1);
    await fixture.dispatch([slackTo(slack), webhookTo(hook, ['model.*', 'approval.requested'])]);
    for (const kind of ['model.promotion', 'models.other', 'approval.requested', 'approval.expired'])
      await fixture.add(1, kind);
    const messages = await fixture.until((all) => all.length === 6 && allAre('sent')(all));
    const kinds = messages.filter(({ deliveries }) => deliveries.length === 2).map(({ kind }) => kind);
    expect(kinds).toEqual(['model.promotion', 'approval.requested']);
    expect(slack.received).toHaveLength(6);
    expect(hook.received).toHaveLength(2);
  });

  it('that are no longer configured do not keep messages waiting', async () => {
    const hook = await fixture.receiver();
    const silent = await fixture.receiver(() => ({ status: 500 }));
    const first = await fixture.dispatch([webhookTo(hook), slackTo(silent)]);
    await fixture.add(1);
    await fixture.until(([one]) => one?.deliveries[0]?.lastError !== null);
    await first.stop(100);
    await fixture.records.db.query(
      `UPDATE notification_channels SET seen_at = now() - interval '1 hour' WHERE name = 'slack'`,
    );
    await fixture.dispatch([webhookTo(hook)], { giveUpAfterMs: 1 });
    const [message] = await fixture.until(([one]) => one?.deliveries[0]?.status === 'dead');
    expect(message?.deliveries[0]?.lastError).toMatch(/No worker has this channel.*500/);
    expect(message?.doneAt).not.toBeNull();
  });
});

describe('a message', () => {
  it('is finished when the last of its deliveries has ended, also when two end at the same moment', async () => {
    const deliveries = createDeliveryStore(fixture.records.db);
    const channels = ['webhook', 'slack'] as const;
    await deliveries.announce(channels.map((name) => ({ name, kinds: ['*'] })));
    await fixture.add(30);
    await deliveries.createPending();
    const taken = await Promise.all(channels.map((name) => deliveries.take(name, 30, 60_000)));
    expect((await fixture.messages()).some(({ doneAt }) => doneAt !== null)).toBe(false);
    const sideBySide = taken.flat().sort((a, b) => a.messageId - b.messageId);
    await Promise.all(sideBySide.map((delivery) => deliveries.markSent(delivery)));
    expect((await fixture.messages()).filter(({ doneAt }) => doneAt === null)).toEqual([]);
  });
});

import type { Channel } from '../../activities/notifications/channel.js';
import { startDispatcher, type Dispatcher, type DispatchTiming } from '../../activities/notifications/dispatcher.js';
import { outboxChannel } from '../../contracts/names.js';
import { createLogger, type Logger } from '../../platform/logging.js';
import { createDeliveryStore } from '../../stores/notifications/deliveries.js';
import { createNotificationStore, type NotificationRecord } from '../../stores/notifications/notifications.js';
import { createOutboxStore } from '../../stores/notifications/outbox.js';
import { poll } from './api-client.js';
import { startReceiver, type Receiver } from './receivers.js';
import { startTestDatabase, type TestDatabase } from './test-database.js';

/** Timings that shorten the retries of a week to a second. */
export const fastTiming: DispatchTiming = {
  // Far above what a receiver of a test needs, also on a loaded machine; tests of silent receivers shorten it.
  timeoutMs: 20_000,
  pollMs: 50,
  leaseMs: 30_000,
  retryMs: { first: 20, most: 100 },
  giveUpAfterMs: 60_000,
  announceMs: 60_000,
};

/** Notifications, and dispatchers that send them, on a real Postgres. */
export interface NotificationFixture {
  records: TestDatabase;
  dispatch(channels: readonly Channel[], timing?: Partial<DispatchTiming>, logger?: Logger): Promise<Dispatcher>;
  /** Starts an HTTP receiver; `clear` stops it. */
  receiver: typeof startReceiver;
  /** Adds messages with the numbers 1 to `count` in their payloads. */
  add(count: number, kind?: string): Promise<void>;
  /** Oldest first. */
  messages(): Promise<NotificationRecord[]>;
  /** Waits until the messages satisfy `holds`. */
  until(holds: (messages: NotificationRecord[]) => boolean): Promise<NotificationRecord[]>;
  /** Stops dispatchers and receivers and empties the tables, for the next test. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

export async function startNotificationFixture(): Promise<NotificationFixture> {
  const records = await startTestDatabase();
  const { db } = records;
  const dispatchers = new Set<Dispatcher>();
  const receivers = new Set<Receiver>();
  const outbox = createOutboxStore(db);
  let added = 0;
  const messages = async (): Promise<NotificationRecord[]> =>
    (await createNotificationStore(db).list({ limit: 200 })).items.reverse();
  const clear = async (): Promise<void> => {
    await Promise.all([...dispatchers].map((dispatcher) => dispatcher.stop(0)));
    await Promise.all([...receivers].map((receiver) => receiver.stop()));
    dispatchers.clear();
    receivers.clear();
    await db.query('TRUNCATE outbox, deliveries, notification_channels RESTART IDENTITY');
  };
  // Removes the log channel, which migrations create.
  await clear();
  return {
    records,
    async dispatch(channels, timing = {}, logger = createLogger('test', process.env['TEST_LOG_LEVEL'] ?? 'silent')) {
      const dispatcher = await startDispatcher({
        deliveries: createDeliveryStore(db),
        channels,
        subscribe: (onHint) => db.listen(outboxChannel, onHint),
        publicUrl: 'https://perennial.example/',
        logger,
        timing: { ...fastTiming, ...timing },
      });
      dispatchers.add(dispatcher);
      return dispatcher;
    },
    async receiver(answer) {
      const receiver = await startReceiver(answer);
      receivers.add(receiver);
      return receiver;
    },
    async add(count, kind = 'note.made') {
      for (let number = 1; number <= count; number += 1) {
        await outbox.add(kind, { runNumber: number }, { key: `message-${(added += 1)}` });
      }
    },
    messages,
    until: (holds) => poll(messages, holds, 30_000),
    clear,
    async stop() {
      await clear();
      await records.stop();
    },
  };
}

/** Whether there are deliveries and all of them have this status. */
export function allAre(status: string): (messages: NotificationRecord[]) => boolean {
  return (messages) =>
    messages.length > 0 &&
    messages.every(
      ({ deliveries }) => deliveries.length > 0 && deliveries.every((delivery) => delivery.status === status),
    );
}

import { toSnake } from '../../contracts/http/snake-shape.js';
import { notificationViewSchema, type NotificationView } from '../../contracts/notifications/http-notifications.js';
import { notificationText } from '../../domain/notifications/notification-text.js';
import { snakeKeys } from '../../domain/snake-keys.js';
import type { NotificationRecord } from '../../stores/notifications/notifications.js';

/** A message as JSON, with the text that its channels send. */
export function notificationView(message: NotificationRecord, publicUrl: string | null): NotificationView {
  const { kind, payload, deliveries } = message;
  return toSnake(notificationViewSchema, {
    ...message,
    ...notificationText(kind, payload, publicUrl),
    payload: snakeKeys(payload),
    deliveries: deliveries.map((delivery) => ({
      ...delivery,
      nextAttemptAt: delivery.status === 'waiting' ? delivery.nextAttemptAt : null,
    })),
  });
}

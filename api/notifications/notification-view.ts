import type { NotificationView } from '../../contracts/notifications/http-notifications.js';
import { notificationText } from '../../domain/notifications/notification-text.js';
import { snakeKeys } from '../../domain/snake-keys.js';
import type { NotificationRecord } from '../../stores/notifications/notifications.js';

/** A message in the spelling of HTTP, with the words its channels give it. */
export function notificationView(
  { id, kind, payload, createdAt, doneAt, deliveries }: NotificationRecord,
  publicUrl: string | null,
): NotificationView {
  return {
    id: String(id),
    kind,
    created_at: createdAt,
    ...notificationText(kind, payload, publicUrl),
    payload: snakeKeys(payload),
    done_at: doneAt,
    deliveries: deliveries.map(({ channel, deliveryId, status, attempts, nextAttemptAt, lastError, sentAt }) => ({
      channel,
      delivery_id: deliveryId,
      status,
      attempts,
      next_attempt_at: status === 'waiting' ? nextAttemptAt : null,
      last_error: lastError,
      sent_at: sentAt,
    })),
  };
}

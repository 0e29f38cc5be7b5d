import { z } from 'zod';
import { deliveryStatusSchema, notificationChannelSchema } from './notifications.js';

export const deliveryViewSchema = z.object({
  channel: notificationChannelSchema,
  delivery_id: z.uuid().describe('constant over all attempts; receivers detect repetitions by it'),
  status: deliveryStatusSchema.describe('dead: failed for a week'),
  attempts: z.number().int(),
  next_attempt_at: z.iso.datetime().nullable().describe('null if there is none'),
  last_error: z.string().nullable(),
  sent_at: z.iso.datetime().nullable(),
});

export const notificationViewSchema = z
  .object({
    id: z.string(),
    kind: z.string(),
    created_at: z.iso.datetime(),
    subject: z.string(),
    text: z.string(),
    link: z.string().nullable(),
    payload: z.unknown(),
    done_at: z.iso.datetime().nullable().describe('when it was sent or dead on every channel'),
    deliveries: z.array(deliveryViewSchema).describe('empty until a worker has created them'),
  })
  .meta({ id: 'Notification' });
export type NotificationView = z.infer<typeof notificationViewSchema>;

export const resendNotificationSchema = z
  .strictObject({
    channel: notificationChannelSchema.optional().describe('default: every channel that has not sent it'),
  })
  .meta({ id: 'ResendNotification' });

export const testNotificationSchema = z
  .strictObject({ channel: notificationChannelSchema })
  .meta({ id: 'TestNotification' });

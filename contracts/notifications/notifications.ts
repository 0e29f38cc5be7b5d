import { z } from 'zod';

/** The ways on which messages leave. */
export const notificationChannels = ['log', 'webhook', 'email', 'slack'] as const;
export const notificationChannelSchema = z.enum(notificationChannels);
export type NotificationChannel = (typeof notificationChannels)[number];

/** `dead`: given up after a week of trying; it can be sent again by hand. */
export const deliveryStatuses = ['waiting', 'sent', 'dead'] as const;
export const deliveryStatusSchema = z.enum(deliveryStatuses);
export type DeliveryStatus = (typeof deliveryStatuses)[number];

/** A kind of message, or all that begin alike: `model.promotion`, `model.*`, `*`. */
export const kindPatternSchema = z
  .string()
  .regex(/^(\*|[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?)$/, 'is a kind like model.promotion, or a group like model.*');

import { z } from 'zod';

/** Notification channels. */
export const notificationChannels = ['log', 'webhook', 'email', 'slack'] as const;
export const notificationChannelSchema = z.enum(notificationChannels);
export type NotificationChannel = (typeof notificationChannels)[number];

/** `dead`: failed for a week; it can be resent manually. */
export const deliveryStatuses = ['waiting', 'sent', 'dead'] as const;
export const deliveryStatusSchema = z.enum(deliveryStatuses);
export type DeliveryStatus = (typeof deliveryStatuses)[number];

/** A kind of message, or a prefix pattern: `model.promotion`, `model.*`, `*`. */
export const kindPatternSchema = z
  .string()
  .regex(/^(\*|[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?)$/, 'is a kind like model.promotion, or a group like model.*');

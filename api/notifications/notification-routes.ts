import { z } from 'zod';
import {
  notificationViewSchema,
  resendNotificationSchema,
  testNotificationSchema,
} from '../../contracts/notifications/http-notifications.js';
import { pageOf } from '../../contracts/http/page.js';
import { deliveryStatusSchema, kindPatternSchema } from '../../contracts/notifications/notifications.js';
import { actorOf } from '../access/actor.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import { notificationView } from './notification-view.js';
import type { ApiSettings } from '../http/settings.js';
import type { NotificationStore } from '../../stores/notifications/notifications.js';

interface Dependencies {
  notifications: Pick<NotificationStore, 'list' | 'resend' | 'test'>;
  settings: ApiSettings;
}

const limit = { maxBytes: 10_000 };
const listQuery = pageQuery.extend({
  status: deliveryStatusSchema.optional().describe('messages with a delivery of this status'),
  kind: kindPatternSchema.optional().describe('a kind, or a group such as `model.*`'),
});

/** Notifications: status, resending, test messages. */
export function notificationRoutes(dependencies: Dependencies): Route[] {
  return [listRoute(dependencies), ...sendRoutes(dependencies)];
}

function listRoute({ notifications, settings: { publicUrl } }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/notifications',
    operationId: 'listNotifications',
    summary: 'Messages with their deliveries, newest first',
    tag: 'administration',
    query: listQuery,
    success: json(pageOf(notificationViewSchema), 'A page of messages'),
    problems: ['bad_request', 'database_unavailable'],
    async handle({ query: { limit: size, page_token, status, kind } }) {
      const page = await notifications.list({
        limit: size,
        pageToken: page_token ?? null,
        ...(status !== undefined && { status }),
        ...(kind !== undefined && { kind }),
      });
      const items = page.items.map((record) => notificationView(record, publicUrl));
      return { body: { items, next_page_token: page.nextPageToken } };
    },
  });
}

function sendRoutes({ notifications, settings: { publicUrl } }: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'post',
      path: '/api/v1/notifications/{id}/resend',
      operationId: 'resendNotification',
      summary: 'Resend a message now',
      tag: 'administration',
      audit: 'notification.resend',
      params: z.object({ id: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER) }),
      body: jsonBody(resendNotificationSchema, limit),
      success: json(notificationViewSchema, 'Queued for sending', 202),
      problems: ['bad_request', 'not_found', 'conflict', 'unsupported_type', 'database_unavailable'],
      async handle({ params: { id }, body: { channel }, request }) {
        const record = await notifications.resend(id, channel ?? null, actorOf(request));
        return { body: notificationView(record, publicUrl) };
      },
    }),
    defineRoute({
      method: 'post',
      path: '/api/v1/notifications/test',
      operationId: 'testNotification',
      summary: 'Send a test message on a channel',
      tag: 'administration',
      audit: 'notification.test',
      body: jsonBody(testNotificationSchema, limit, true),
      success: json(notificationViewSchema, 'Queued for sending', 202),
      problems: ['bad_request', 'conflict', 'unsupported_type', 'database_unavailable'],
      async handle({ body: { channel }, request }) {
        const record = await notifications.test(channel, actorOf(request));
        return { body: notificationView(record, publicUrl) };
      },
    }),
  ];
}

import { z } from 'zod';
import { auditChannels, auditRecordViewSchema } from '../../contracts/audit/audit.js';
import { pageOf } from '../../contracts/http/page.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, type Route } from '../http/route.js';
import { auditView } from './audit-view.js';
import type { AuditStore } from '../../stores/audit/audit.js';

interface Dependencies {
  audit: Pick<AuditStore, 'list'>;
}

const name = z.string().min(1).max(300);
/** A Date, because Postgres refuses ISO texts with an offset beyond ±15:59 or the year 0. */
const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

const auditQuery = pageQuery.extend({
  action: name.optional().describe('noun and verb, for example `model.promote`'),
  actor: name.optional(),
  subject: name.optional().describe('a path of names, for example `models/roses`; includes everything below it'),
  via: z.enum(auditChannels).optional(),
  request_id: name.optional(),
  from: time.optional().describe('start of the range, inclusive'),
  to: time.optional().describe('end of the range, exclusive'),
});

/** The audit log. */
export function auditRoutes({ audit }: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: '/api/v1/audit',
      operationId: 'listAudit',
      summary: 'Audit log: actor, action, time, origin, before and after; newest first',
      tag: 'administration',
      query: auditQuery,
      success: json(pageOf(auditRecordViewSchema), 'A page of changes'),
      problems: ['bad_request', 'database_unavailable'],
      async handle({ query: { limit, page_token, request_id, ...filters } }) {
        const page = await audit.list({
          ...filters,
          limit,
          pageToken: page_token ?? null,
          requestId: request_id,
        });
        return { body: { items: page.items.map(auditView), next_page_token: page.nextPageToken } };
      },
    }),
  ];
}

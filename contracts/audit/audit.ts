import { z } from 'zod';

/** Origins of a change. */
export const auditChannels = ['rest', 'schedule', 'workflow', 'system'] as const;
export type AuditChannel = (typeof auditChannels)[number];

/** The actor of a change and its origin. */
export interface Actor {
  /** Name given by the client; unverified until there is sign-in. */
  name: string;
  via: AuditChannel;
  /** Network address of a client, id of a workflow or schedule, or name of a process. */
  from: string;
  /** `X-Request-Id` of the request, if any. */
  requestId: string | null;
}

/** A change: action, subject, state before and after. */
export interface AuditEntry {
  by: Actor;
  /** Noun and verb: `model.promote`, `schedule.pause`. */
  action: string;
  /** The changed resource as a path: `models/flowers/versions/3`. */
  subject: string;
  before?: unknown;
  after?: unknown;
}

export const auditRecordViewSchema = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    actor: z.string(),
    via: z.enum(auditChannels),
    from: z.string(),
    request_id: z.string().nullable(),
    action: z.string(),
    subject: z.string(),
    before: z.unknown(),
    after: z.unknown(),
  })
  .meta({ id: 'AuditRecord' });

import { z } from 'zod';

/** The ways in which a change comes about. */
export const auditChannels = ['rest', 'schedule', 'workflow', 'system'] as const;
export type AuditChannel = (typeof auditChannels)[number];

/** Who makes a change, and from where. */
export interface Actor {
  /** As the caller calls itself; nobody vouches for it until there is sign-in. */
  name: string;
  via: AuditChannel;
  /** Network address of a caller, id of a workflow or schedule, name of a process. */
  from: string;
  /** `X-Request-Id` of the request, where there was one. */
  requestId: string | null;
}

/** One change: what was done to what, and how it stood before and after. */
export interface AuditEntry {
  by: Actor;
  /** Noun and verb: `model.promote`, `schedule.pause`. */
  action: string;
  /** What was changed, as a path of its names: `models/flowers/versions/3`. */
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

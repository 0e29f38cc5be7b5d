import type { Request } from 'express';
import type { Actor } from '../../contracts/audit/audit.js';
import { contextOf } from '../http/request-context.js';

const acceptable = /^[\p{L}\p{N}@._: -]{1,100}$/u;

/** The actor of a change: the unverified `X-Actor` header, and the client's address. */
export function actorOf(request: Request): Actor {
  const claimed = request.get('x-actor')?.trim();
  return {
    name: claimed !== undefined && acceptable.test(claimed) ? claimed : 'anonymous',
    via: 'rest',
    from: request.ip ?? 'unknown',
    requestId: contextOf(request).requestId,
  };
}

import type { Request } from 'express';
import type { Actor } from '../../contracts/audit/audit.js';
import { contextOf } from '../http/request-context.js';

const acceptable = /^[\p{L}\p{N}@._: -]{1,100}$/u;

/** Who asks for a change: what `X-Actor` says, which nobody vouches for, and where the request came from. */
export function actorOf(request: Request): Actor {
  const claimed = request.get('x-actor')?.trim();
  return {
    name: claimed !== undefined && acceptable.test(claimed) ? claimed : 'anonymous',
    via: 'rest',
    from: request.ip ?? 'unknown',
    requestId: contextOf(request).requestId,
  };
}

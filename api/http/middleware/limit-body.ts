import type { RequestHandler } from 'express';
import { bodyTooLarge, encodingOf, encodingRefused } from '../body/body-faults.js';
import type { MemoryBudget } from '../body/memory-budget.js';
import { clientOf } from '../client-address.js';
import { contextOf } from '../request-context.js';

export interface BodyLimit {
  maxBytes: number;
  /** Whether the route decompresses gzip and deflate; `maxBytes` then limits the decompressed size too. */
  takesCompressed?: boolean;
  /** A budget in place of that of all routes. */
  budget?: MemoryBudget;
}

/** Gives every request its part in the memory budget. Bodies are charged by their reader until the response has ended. */
export function shareMemory(budget: MemoryBudget): RequestHandler {
  return (request, response, next) => {
    const charge = budget.open(clientOf(request));
    contextOf(request).memory = charge;
    response.once('close', () => charge.release());
    next();
  };
}

/**
 * Refuses bodies by their headers: a Content-Length above the limit, and a compressed body unless the route decompresses
 * it. The body is not read here, because a stream that flows before its reader listens loses data.
 */
export function limitBody({ maxBytes, budget, takesCompressed = false }: BodyLimit): RequestHandler {
  const share = budget && shareMemory(budget);
  return (request, response, next) => {
    const isCompressed = encodingOf(request) !== 'identity';
    if (isCompressed && !takesCompressed) throw encodingRefused(request);
    const declared = request.get('content-length');
    if (declared !== undefined && Number(declared) > maxBytes) throw bodyTooLarge(maxBytes);
    if (share) void share(request, response, next);
    else next();
  };
}

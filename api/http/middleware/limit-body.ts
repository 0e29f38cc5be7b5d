import type { RequestHandler } from 'express';
import { PerennialError } from '../../../contracts/errors.js';
import { bodyTooLarge, encodingOf, encodingRefused } from '../body/body-faults.js';

/** Budget for request bodies in memory, over all requests. */
export interface MemoryBudget {
  /** Takes bytes from the budget; returns the function that releases them, or null if too few are left. */
  take(bytes: number): (() => void) | null;
}

/** A budget for bodies in memory until their answer. `onShed` is called for each refusal. */
export function createMemoryBudget(totalBytes: number, onShed: () => void): MemoryBudget {
  let left = totalBytes;
  return {
    take(bytes) {
      if (bytes > left) {
        onShed();
        return null;
      }
      left -= bytes;
      let returned = false;
      return () => {
        if (!returned) left += bytes;
        returned = true;
      };
    },
  };
}

export interface BodyLimit {
  maxBytes: number;
  /** For bodies in memory; bodies streamed to disk need none. */
  budget?: MemoryBudget;
  /** Whether the route decompresses gzip and deflate; `maxBytes` then limits the decompressed size too. */
  takesCompressed?: boolean;
}

/**
 * Refuses bodies by their headers: a Content-Length above the limit, a compressed body unless the route decompresses it,
 * and any body above the memory budget. A body of unknown length reserves its limit, and its reader enforces it. The body
 * is not read here, because a stream that flows before its reader listens loses data.
 */
export function limitBody({ maxBytes, budget, takesCompressed = false }: BodyLimit): RequestHandler {
  return (request, response, next) => {
    const isCompressed = encodingOf(request) !== 'identity';
    if (isCompressed && !takesCompressed) throw encodingRefused(request);
    const declared = request.get('content-length');
    if (declared !== undefined && Number(declared) > maxBytes) throw bodyTooLarge(maxBytes);
    const isSizeKnown = request.get('transfer-encoding') === undefined && !isCompressed;
    const mostBytes = isSizeKnown ? Number(declared ?? 0) : maxBytes;
    const giveBack = budget?.take(mostBytes);
    if (giveBack === null) {
      throw new PerennialError('overloaded', 'Too many large requests are being read at once. Retry later.');
    }
    response.once('close', () => giveBack?.());
    next();
  };
}

import type { RequestHandler } from 'express';
import { PerennialError } from '../../../contracts/errors.js';
import { bodyTooLarge, encodingOf, encodingRefused } from '../body/body-faults.js';

/** Bytes of request bodies that may be in memory at the same time, over all requests. */
export interface MemoryBudget {
  /** Takes bytes from the budget; gives what returns them, or null when there are not enough left. */
  take(bytes: number): (() => void) | null;
}

/** A budget for bodies that are kept in memory until they are answered. `onShed` runs when one finds no room. */
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
  /** Set for bodies kept in memory; those streamed to disk need none. */
  budget?: MemoryBudget;
  /** Whether the route's reader undoes gzip and deflate; `maxBytes` then holds for what comes out as well. */
  takesCompressed?: boolean;
}

/**
 * Refuses what need not be read: a body whose Content-Length is too large, a compressed one, whose real size nobody
 * knows, unless its route can take it, and any body while too many bytes are in memory already. A body of unknown length takes the most it may have
 * from the budget, and is cut off by whoever reads it. Nothing is read here: a stream that flows before its reader
 * listens loses what came meanwhile.
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
      throw new PerennialError('overloaded', 'Too many large requests are being read at once. Try again in a moment.');
    }
    response.once('close', () => giveBack?.());
    next();
  };
}

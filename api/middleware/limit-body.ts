import type { RequestHandler } from 'express';
import { PerennialError } from '../../contracts/errors.js';
import { sendProblem } from './answer-problems.js';

/** Bytes of request bodies that may be in memory at the same time, over all requests. */
export interface MemoryBudget {
  /** Takes bytes from the budget; gives what returns them, or null when there are not enough left. */
  take(bytes: number): (() => void) | null;
}

/** A budget for bodies that are kept in memory until they are answered. */
export function createMemoryBudget(totalBytes: number): MemoryBudget {
  let left = totalBytes;
  return {
    take(bytes) {
      if (bytes > left) return null;
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
  onShed?: () => void;
}

/**
 * Refuses a body that is too large before anything reads it, by Content-Length, or as soon as that many bytes of a
 * chunked body came; and any body while too many bytes are in memory already.
 */
export function limitBody({ maxBytes, budget, onShed }: BodyLimit): RequestHandler {
  const tooLarge = (): PerennialError =>
    new PerennialError('too_large', `The body is larger than the ${maxBytes} bytes this route accepts. Send less.`);
  return (request, response, next) => {
    const header = request.get('content-length');
    const declared = header === undefined ? null : Number(header);
    const isChunked = request.get('transfer-encoding') !== undefined;
    if (declared !== null && declared > maxBytes) throw tooLarge();
    const giveBack = budget?.take(declared ?? (isChunked ? maxBytes : 0));
    if (giveBack === null) {
      onShed?.();
      throw new PerennialError('overloaded', 'Too many large requests are being read at once. Try again in a moment.');
    }
    response.once('close', () => giveBack?.());
    if (isChunked) {
      let received = 0;
      request.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received > maxBytes) sendProblem(request, response, tooLarge());
      });
    }
    next();
  };
}

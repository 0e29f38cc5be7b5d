import type { Request } from 'express';
import { z } from 'zod';
import { invalidRequest } from './problems.js';
import { contextOf } from './request-context.js';

/** How long a client waits for an answer. What it would not wait for is not computed. */
export const timeoutHeader = 'X-Request-Timeout-Ms';

/** Nobody waits longer than this; a larger number is a mistake in the unit. */
const longestTimeoutMs = 600_000;

/** The header as the documentation shows it: `headers` of a route that reads `deadlineOf`. */
export const timeoutHeaders = z.object({
  [timeoutHeader]: z
    .int()
    .min(1)
    .max(longestTimeoutMs)
    .optional()
    .describe('how long you wait for the answer, in ms: what cannot be answered in time is given up with 504'),
});

/**
 * The moment from which an answer to a request is of no use any more, as option of a job: its arrival and the time
 * the client says it waits. Empty when it says nothing.
 * @throws PerennialError bad_request when the header is no whole number of milliseconds
 */
export function deadlineOf(request: Request): { deadlineAt?: number } {
  const text = request.headers[timeoutHeaderKey];
  if (text === undefined) return {};
  const timeoutMs = typeof text === 'string' && /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (timeoutMs < 1 || timeoutMs > longestTimeoutMs) {
    const detail = `expected a whole number of milliseconds from 1 to ${longestTimeoutMs}, such as 2000`;
    throw invalidRequest([{ pointer: `header/${timeoutHeader}`, detail }]);
  }
  return { deadlineAt: contextOf(request).arrivedAt + timeoutMs };
}

/** Node's spelling of header names. */
const timeoutHeaderKey = timeoutHeader.toLowerCase();

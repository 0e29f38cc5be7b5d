import type { Request } from 'express';
import { z } from 'zod';
import { invalidRequest } from './problems.js';
import { contextOf } from './request-context.js';

/** How long a client waits for an answer. Later answers are not computed. */
export const timeoutHeader = 'X-Request-Timeout-Ms';

/** Maximum; a larger number is a mistake in the unit. */
const longestTimeoutMs = 600_000;

/** The header for OpenAPI: `headers` of a route that calls `deadlineOf`. */
export const timeoutHeaders = z.object({
  [timeoutHeader]: z
    .int()
    .min(1)
    .max(longestTimeoutMs)
    .optional()
    .describe('how long the client waits for the answer, in ms; a request that cannot be answered in time gets 504'),
});

/**
 * The deadline of a request as job option: its arrival plus the time that the client waits. Empty without the header.
 * @throws PerennialError bad_request if the header is not a whole number of milliseconds
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

/** Node lower-cases header names. */
const timeoutHeaderKey = timeoutHeader.toLowerCase();

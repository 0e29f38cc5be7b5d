import type { RequestHandler } from 'express';
import { PerennialError } from '../../../contracts/errors.js';
import { sendProblem } from './answer-problems.js';

/** Time limit of a body: 30 s per started 100 kB. */
export function timeForBody(maxBytes: number): number {
  return Math.ceil(maxBytes / 100_000) * 30_000;
}

/**
 * Answers JSON that is not complete after `ms` with 408 `body_timeout`: the client is gone, or announced more than it
 * sent. Readers of other bodies check their rate.
 */
export function limitTime(ms: number): RequestHandler {
  return (request, response, next) => {
    if (!request.is('application/json')) {
      next();
      return;
    }
    const timer = setTimeout(() => {
      if (request.complete || response.headersSent) return;
      response.setHeader('Connection', 'close');
      const seconds = Math.round(ms / 1_000);
      const detail = `The body was not complete after ${seconds} s. Check that it is as long as Content-Length says.`;
      sendProblem(request, response, new PerennialError('body_timeout', detail));
    }, ms);
    const end = (): void => clearTimeout(timer);
    request.once('end', end);
    response.once('close', end);
    next();
  };
}

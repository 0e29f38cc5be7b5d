import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import { bindContext } from '../request-context.js';

const acceptable = /^[\w.:-]{1,128}$/;

/** Adopts a valid `X-Request-Id` or creates one, and sends it back. */
export const identify: RequestHandler = (request, response, next) => {
  const offered = request.get('x-request-id');
  const requestId = offered !== undefined && acceptable.test(offered) ? offered : randomUUID();
  bindContext(request, { requestId, arrivedAt: performance.now(), route: 'unmatched' });
  response.setHeader('X-Request-Id', requestId);
  next();
};

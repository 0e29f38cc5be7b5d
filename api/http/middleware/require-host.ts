import type { RequestHandler } from 'express';
import { PerennialError } from '../../../contracts/errors.js';

/**
 * Refuses what RFC 9112 has every server refuse: HTTP/1.1 without a Host, and any request with two. Node would answer
 * the first with a bare 400, and take the first of two.
 */
export const requireHost: RequestHandler = (request, _response, next) => {
  const hosts = request.headersDistinct['host']?.length ?? 0;
  if (hosts > 1) throw new PerennialError('bad_request', `The request has ${hosts} Host headers. Send one.`);
  if (hosts === 0 && request.httpVersion === '1.1') {
    throw new PerennialError('bad_request', 'The request has no Host header. HTTP/1.1 needs one.');
  }
  next();
};

import type { RequestHandler } from 'express';
import { PerennialError } from '../../../contracts/errors.js';

/**
 * Refuses HTTP/1.1 without a Host header and requests with two, as RFC 9112 demands. Node would answer the former with an
 * empty 400, and use the first of two.
 */
export const requireHost: RequestHandler = (request, _response, next) => {
  const hosts = request.headersDistinct['host']?.length ?? 0;
  if (hosts > 1) throw new PerennialError('bad_request', `The request has ${hosts} Host headers. Send one.`);
  if (hosts === 0 && request.httpVersion === '1.1') {
    throw new PerennialError('bad_request', 'The request has no Host header. HTTP/1.1 needs one.');
  }
  next();
};

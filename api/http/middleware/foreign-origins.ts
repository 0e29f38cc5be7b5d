import type { RequestHandler } from 'express';
import { PerennialError } from '../../../contracts/errors.js';
import { foreignOrigin } from '../../../platform/foreign-origin.js';
import { authoritiesOf } from '../../../platform/authorities.js';

/** Refuses changing requests that a browser sent for a page of another origin, before the body is read. */
export function refuseForeignOrigins(ownOrigins: readonly string[]): RequestHandler {
  return (request, _response, next) => {
    const foreign = foreignOrigin(
      {
        method: request.method,
        host: authoritiesOf(request)[0],
        origin: request.headers.origin,
        fetchSite: request.headersDistinct['sec-fetch-site']?.join(', '),
      },
      ownOrigins,
    );
    if (foreign === null) {
      next();
      return;
    }
    throw new PerennialError(
      'foreign_origin',
      `A page of another origin sent this request (${foreign}), so it was not carried out. ` +
        'If this API is reached through a proxy, set PUBLIC_URL to the address that the browser shows.',
    );
  };
}

import type { RequestHandler } from 'express';
import { PerennialError } from '../../../contracts/errors.js';
import { createHostCheck, hostNameOf } from '../../../platform/allowed-hosts.js';
import { authoritiesOf } from '../../../platform/authorities.js';

/** Load balancers and Kubernetes probe a replica under its address. */
const probes = new Set(['/health/live', '/health/ready']);

/**
 * Refuses requests for a host that is not ours with 421: under such a name a page of another site reads every answer (DNS
 * rebinding). HTTP/1.0 without a host passes, since no browser sends it.
 */
export function allowHosts(patterns: readonly string[]): RequestHandler {
  const isAllowed = createHostCheck(patterns);
  // Clients name the same host in every request, and to parse it takes longer than all else here.
  let allowed: string | null = null;
  return (request, _response, next) => {
    if (probes.has(request.path)) {
      next();
      return;
    }
    for (const authority of authoritiesOf(request)) {
      if (authority === allowed) continue;
      const name = hostNameOf(authority);
      if (name === null) throw new PerennialError('bad_request', 'The Host header is not a host name with a port.');
      if (!isAllowed(name)) {
        throw new PerennialError(
          'foreign_host',
          `This API does not answer under the host ${name}. If it is a name of this API, add it to ALLOWED_HOSTS.`,
        );
      }
      allowed = authority;
    }
    next();
  };
}

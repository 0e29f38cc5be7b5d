import type { IncomingMessage } from 'node:http';

/**
 * The authorities that a request names: of its absolute target (`GET http://name/ HTTP/1.1`), which counts before the Host
 * header (RFC 9112, 3.2.2), and of that header. Empty for HTTP/1.0 without one. X-Forwarded-Host is not trusted.
 */
export function authoritiesOf({ url = '', headers }: Pick<IncomingMessage, 'url' | 'headers'>): string[] {
  const target = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(url)?.[1];
  return [target, headers.host].filter((each) => each !== undefined);
}

/** What a browser says about where a request comes from. Pages cannot set these headers. */
export interface RequestOrigin {
  method: string;
  /** The authority that the request was sent to, such as `localhost:3000`; undefined without one. */
  host: string | undefined;
  origin: string | undefined;
  /** `Sec-Fetch-Site` */
  fetchSite: string | undefined;
}

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Names the foreign place that a browser sent a changing request from; null when it may pass. Programs send neither header
 * and pass. `ownOrigins` are accepted beside that of the host, for servers behind a proxy that speaks TLS.
 *
 * Forms, navigations and bodies without a preflight carry `Origin` too, since the method is not safe. Another port of the
 * same host is another origin, although browsers call it the same site.
 */
export function foreignOrigin(
  { method, host, origin, fetchSite }: RequestOrigin,
  ownOrigins: readonly string[],
): string | null {
  if (safeMethods.has(method)) return null;
  if (origin !== undefined) {
    const isOwn = origin !== 'null' && (origin === originOf(`http://${host ?? ''}`) || ownOrigins.includes(origin));
    return isOwn ? null : `Origin is ${origin.slice(0, 200)}`;
  }
  return fetchSite === undefined || fetchSite === 'same-origin' || fetchSite === 'none'
    ? null
    : `Sec-Fetch-Site is ${fetchSite.slice(0, 20)}`;
}

/** The origin of a URL, as browsers send it; null when it is malformed. */
function originOf(url: string): string | null {
  try {
    return new URL(url).origin;
  } catch {
    return null;
  }
}

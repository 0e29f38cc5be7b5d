import type { Request, RequestHandler } from 'express';
import { contextOf } from './request-context.js';

/**
 * Accepts the base path, under which a proxy offers the API, in front of every path: a proxy may strip it or not. Links in
 * answers begin with it. `X-Forwarded-Prefix` is not read, because any client can send it.
 */
export function acceptBasePath(basePath: string): RequestHandler {
  return (request, _response, next) => {
    contextOf(request).basePath = basePath;
    const { url } = request;
    const rest = basePath !== '' && url.startsWith(basePath) ? url.slice(basePath.length) : url;
    if (rest === '' || rest.startsWith('?')) request.url = `/${rest}`;
    else if (rest.startsWith('/')) request.url = rest;
    next();
  };
}

/** The path of a request without the base path. */
export function pathOf({ url }: Pick<Request, 'url'>): string {
  return url.split('?')[0] ?? '/';
}

/** A body of JSON in which the links to this API begin with the base path: members `url` and `…_url`. */
export function withLinksBelow(basePath: string, body: unknown): unknown {
  if (basePath === '' || typeof body !== 'object' || body === null || body instanceof Uint8Array) return body;
  if (Array.isArray(body)) return body.map((each) => withLinksBelow(basePath, each));
  const members = Object.entries(body).map(([name, value]: [string, unknown]) => {
    const isLink = typeof value === 'string' && /^(.*_)?url$/.test(name) && value.startsWith('/api/');
    return [name, isLink ? `${basePath}${value}` : withLinksBelow(basePath, value)] as const;
  });
  return Object.fromEntries(members);
}

/** Headers in which a `Location` on this API begins with the base path. */
export function withLocationBelow(
  basePath: string,
  headers: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const { Location: location } = headers;
  return location?.startsWith('/') ? { ...headers, Location: `${basePath}${location}` } : headers;
}

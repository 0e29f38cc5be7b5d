import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Request, Response } from 'express';
import { systemCodeOf } from '../../contracts/errors.js';

/** Smaller bodies gain nothing from compression: predictions are sent uncompressed. */
const leastBytes = 1_400;

/** Fast rather than small: half of the time for nearly the same size. */
const options = { level: 4 };
const compress = promisify(gzip);

/**
 * Sends a body whose content type is set, compressed if it is worth it and the client accepts gzip. Compresses off the
 * event loop, so that a long list does not delay other requests. Streams are sent elsewhere, uncompressed.
 */
export async function sendBody(request: Request, response: Response, body: string | Uint8Array): Promise<void> {
  // Express would serialise a plain byte array as an object.
  const plain = typeof body === 'string' ? body : Buffer.from(body);
  if (plain.length < leastBytes || !isText(response) || hasStrongTag(response)) {
    if (isShortAnswer(request, response, plain))
      response.setHeader('Content-Length', Buffer.byteLength(plain)).end(plain);
    else response.send(plain);
    return;
  }
  response.vary('Accept-Encoding');
  if (request.acceptsEncodings('gzip') !== 'gzip') {
    response.send(plain);
    return;
  }
  const compressed = await compress(plain, options);
  if (response.headersSent || response.destroyed) return;
  response.setHeader('Content-Encoding', 'gzip');
  response.send(compressed);
}

export interface ObjectHeaders {
  ETag: string;
  'Cache-Control': string;
  'Content-Type': string;
  'Content-Length': string;
  'Content-Disposition'?: string;
}

/**
 * Streams the result of `open`, or answers 304 if the client has it already. A client disconnect is no server error.
 */
export async function sendObject(
  request: Request,
  response: Response,
  headers: ObjectHeaders,
  open: () => Promise<Readable>,
): Promise<void> {
  if (isKnown(request, headers.ETag)) {
    response.status(304).set({ ETag: headers.ETag, 'Cache-Control': headers['Cache-Control'] }).end();
    return;
  }
  const bytes = await open();
  response.set({ ...headers });
  try {
    await pipeline(bytes, response);
  } catch (error) {
    if (systemCodeOf(error) === 'ERR_STREAM_PREMATURE_CLOSE') return;
    throw error;
  }
}

/**
 * Whether the client has the tagged representation (RFC 9110, 13.1.2). Express's `request.fresh` is false for every
 * `fetch()` with If-None-Match, because fetch adds `Cache-Control: no-cache`.
 */
function isKnown(request: Request, tag: string): boolean {
  const known = request.get('if-none-match')?.split(',') ?? [];
  return known.some((each) => ['*', tag, `W/${tag}`].includes(each.trim()));
}

/**
 * Whether a text needs nothing of Express's `send`, which computes an `ETag` and compares it with the request: only
 * answers to GET and HEAD can be requested again by their tag.
 */
function isShortAnswer(request: Request, response: Response, body: string | Uint8Array): boolean {
  if (request.method === 'GET' || request.method === 'HEAD' || typeof body !== 'string' || body === '') return false;
  return response.get('Content-Type')?.includes('charset=') ?? false;
}

/** Images are compressed already. */
function isText(response: Response): boolean {
  return /^text\/|json|javascript|svg|xml/.test(response.get('Content-Type') ?? '');
}

/** A strong tag identifies exact bytes, and is used in If-Match. */
function hasStrongTag(response: Response): boolean {
  const tag = response.getHeader('ETag');
  return typeof tag === 'string' && !tag.startsWith('W/');
}

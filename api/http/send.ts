import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Request, Response } from 'express';

/** What fits into a packet or so gains nothing: predictions are sent as they are. */
const leastBytes = 1_400;

/** Quick rather than small: half of the time for nearly the same size. */
const options = { level: 4 };
const compress = promisify(gzip);

/**
 * Sends a body whose content type is set, compressed when that is worth it and the client takes gzip. Off the event
 * loop, so that a long list keeps nobody waiting. Streams do not come through here: they stay as they are.
 */
export async function sendBody(request: Request, response: Response, body: string | Uint8Array): Promise<void> {
  // Without it, express would take an array of bytes for an object.
  const plain = typeof body === 'string' ? body : Buffer.from(body);
  if (plain.length < leastBytes || !isText(response) || hasStrongTag(response)) {
    response.send(plain);
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
 * Streams what `open` gives, or answers 304 when the client has it already. A client that leaves meanwhile is no
 * failure of ours.
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
    if (error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE') return;
    throw error;
  }
}

/**
 * Whether the client has what the tag names (RFC 9110, 13.1.2). `request.fresh` of Express would say no to every
 * `fetch()` with If-None-Match, which adds `Cache-Control: no-cache` to it.
 */
function isKnown(request: Request, tag: string): boolean {
  const known = request.get('if-none-match')?.split(',') ?? [];
  return known.some((each) => ['*', tag, `W/${tag}`].includes(each.trim()));
}

/** Pictures are compressed already. */
function isText(response: Response): boolean {
  return /^text\/|json|javascript|svg|xml/.test(response.get('Content-Type') ?? '');
}

/** A strong tag names exact bytes, and comes back in If-Match. */
function hasStrongTag(response: Response): boolean {
  const tag = response.getHeader('ETag');
  return typeof tag === 'string' && !tag.startsWith('W/');
}

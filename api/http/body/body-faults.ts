import type { Request } from 'express';
import { PerennialError } from '../../../contracts/errors.js';

/** Accepted content encodings. */
type BodyEncoding = 'identity' | 'gzip' | 'deflate';

/** The content encoding of a body. Throws `unsupported_type` for an unsupported one. */
export function encodingOf(request: Request): BodyEncoding {
  const encoding = (request.get('content-encoding') ?? 'identity').toLowerCase();
  if (encoding === 'identity' || encoding === 'gzip' || encoding === 'deflate') return encoding;
  throw encodingRefused(request);
}

export function encodingRefused(request: Request): PerennialError {
  return new PerennialError(
    'unsupported_type',
    `Content-Encoding ${request.get('content-encoding') ?? ''} is not supported here. Send the body uncompressed.`,
  );
}

/** The error for a body above the limit of its route. */
export function bodyTooLarge(maxBytes: number): PerennialError {
  return new PerennialError(
    'too_large',
    `The body is larger than the ${maxBytes} bytes this route accepts. Send less.`,
  );
}

import type { Request } from 'express';
import { PerennialError } from '../../../contracts/errors.js';

/** How bodies may be sent. */
type BodyEncoding = 'identity' | 'gzip' | 'deflate';

/** How a body is sent. Throws `unsupported_type` for what nobody here undoes. */
export function encodingOf(request: Request): BodyEncoding {
  const encoding = (request.get('content-encoding') ?? 'identity').toLowerCase();
  if (encoding === 'identity' || encoding === 'gzip' || encoding === 'deflate') return encoding;
  throw encodingRefused(request);
}

export function encodingRefused(request: Request): PerennialError {
  return new PerennialError(
    'unsupported_type',
    `Bodies are not taken with Content-Encoding ${request.get('content-encoding') ?? ''}. Send it uncompressed.`,
  );
}

/** What a body gets that has more bytes than its route accepts. */
export function bodyTooLarge(maxBytes: number): PerennialError {
  return new PerennialError(
    'too_large',
    `The body is larger than the ${maxBytes} bytes this route accepts. Send less.`,
  );
}

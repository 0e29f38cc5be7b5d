import { constants, gunzip, inflate } from 'node:zlib';
import { promisify } from 'node:util';
import type { Request } from 'express';
import { PerennialError } from '../contracts/errors.js';
import { bodyTooLarge, encodingOf } from './middleware/limit-body.js';

/**
 * Reads a whole body as it was sent, decompressed where the route takes compressed ones; nothing of it may have been
 * read before. The bytes have an ArrayBuffer of their own. A body that turns out too large is left unread: whoever
 * answers drains it.
 * @throws PerennialError too_large, bad_request
 */
export async function readBody(request: Request, maxBytes: number): Promise<Buffer<ArrayBuffer>> {
  const sent = await receive(request, maxBytes);
  const encoding = encodingOf(request);
  return encoding === 'identity' ? sent : decompress(sent, encoding, maxBytes);
}

function receive(request: Request, maxBytes: number): Promise<Buffer<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const leave = (): void => {
      request.off('data', take).off('end', finish).off('error', abort).off('close', abort);
    };
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= maxBytes) return;
      leave();
      request.pause();
      reject(bodyTooLarge(maxBytes));
    };
    const finish = (): void => {
      leave();
      resolve(join(chunks, bytes));
    };
    const abort = (): void => {
      leave();
      reject(new PerennialError('bad_request', 'The request ended before its body was complete. Send it again.'));
    };
    if (request.destroyed) abort();
    else request.on('data', take).once('end', finish).once('error', abort).once('close', abort);
  });
}

/** Not Buffer.concat, which may put a small body into memory that others share. */
function join(chunks: readonly Buffer[], bytes: number): Buffer<ArrayBuffer> {
  const whole = Buffer.from(new ArrayBuffer(bytes));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

const decompressors = { gzip: promisify(gunzip), deflate: promisify(inflate) };

async function decompress(
  sent: Buffer<ArrayBuffer>,
  encoding: keyof typeof decompressors,
  maxBytes: number,
): Promise<Buffer<ArrayBuffer>> {
  try {
    // What is truncated is an error, never half a body.
    const options = { maxOutputLength: maxBytes, finishFlush: constants.Z_FINISH };
    const whole = await decompressors[encoding](sent, options);
    return join([whole], whole.length);
  } catch (error) {
    if (error instanceof RangeError) throw bodyTooLarge(maxBytes);
    throw new PerennialError(
      'bad_request',
      `The body is no complete ${encoding} stream, as its Content-Encoding says. Compress it again.`,
    );
  }
}

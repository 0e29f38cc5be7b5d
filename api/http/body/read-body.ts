import { constants, gunzip, inflate } from 'node:zlib';
import { promisify } from 'node:util';
import type { Request } from 'express';
import { PerennialError } from '../../../contracts/errors.js';
import { bodyTooLarge, encodingOf } from './body-faults.js';

/**
 * Reads a whole body, decompressed if the route accepts compression. The body must be unread. The bytes have their own
 * ArrayBuffer. The rest of a body above the limit stays unread: the error response drains it.
 * @throws PerennialError too_large; bad_request if it ends early; body_timeout if it is too slow
 */
export async function readBody(
  request: Request,
  maxBytes: number,
  pace: Pace = leastPace,
): Promise<Buffer<ArrayBuffer>> {
  const sent = await receive(request, maxBytes, pace);
  const encoding = encodingOf(request);
  return encoding === 'identity' ? sent : decompress(sent, encoding, maxBytes);
}

/** Minimum rate of a body. */
interface Pace {
  bytes: number;
  everyMs: number;
}

/** A slower body (checked every `everyMs`) only occupies memory. */
const leastPace: Pace = { bytes: 100_000, everyMs: 30_000 };

function receive(request: Request, maxBytes: number, pace: Pace): Promise<Buffer<ArrayBuffer>> {
  const gathered = gather(request, maxBytes);
  if (gathered === null) return Promise.reject(bodyTooLarge(maxBytes));
  if (request.destroyed) return Promise.reject(endedEarly());
  return new Promise((resolve, reject) => {
    const fail = (error: PerennialError): void => {
      leave();
      request.pause();
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      if (!gathered.add(chunk)) fail(bodyTooLarge(maxBytes));
    };
    const finish = (): void => {
      leave();
      resolve(gathered.whole());
    };
    const abort = (): void => fail(endedEarly());
    const watch = watchPace(pace, () => gathered.bytes(), fail);
    const leave = (): void => {
      clearInterval(watch);
      request.off('data', take).off('end', finish).off('error', abort).off('close', abort);
    };
    request.on('data', take).once('end', finish).once('error', abort).once('close', abort);
  });
}

interface Gathered {
  bytes(): number;
  /** False if it does not fit. */
  add(chunk: Buffer): boolean;
  whole(): Buffer<ArrayBuffer>;
}

/** Buffer of a body, allocated at once if its length is known; null if it is too large. */
function gather(request: Request, maxBytes: number): Gathered | null {
  const declared = request.headers['content-length'];
  if (declared === undefined) return gatherChunks(maxBytes);
  const length = Number(declared);
  if (length > maxBytes) return null;
  const body = Buffer.from(new ArrayBuffer(length));
  let at = 0;
  return {
    bytes: () => at,
    add(chunk) {
      at += chunk.copy(body, at);
      return true;
    },
    whole: () => body,
  };
}

function gatherChunks(maxBytes: number): Gathered {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return {
    bytes: () => bytes,
    add(chunk) {
      bytes += chunk.length;
      if (bytes <= maxBytes) chunks.push(chunk);
      return bytes <= maxBytes;
    },
    whole: () => join(chunks, bytes),
  };
}

function watchPace(least: Pace, received: () => number, fail: (error: PerennialError) => void): NodeJS.Timeout {
  let before = 0;
  const look = (): void => {
    const bytes = received() - before;
    before = received();
    if (bytes >= least.bytes) return;
    const pace = `${bytes} bytes came in ${least.everyMs / 1000} s; at least ${least.bytes} are expected`;
    fail(
      new PerennialError('body_timeout', `The upload is too slow: of the body ${pace}. Retry on a faster connection.`),
    );
  };
  return setInterval(look, least.everyMs).unref();
}

/** The error for a request whose client has disconnected. */
export function endedEarly(): PerennialError {
  return new PerennialError('bad_request', 'The request ended before its body was complete. Send it again.');
}

/** Not Buffer.concat, which may place a small body in Node's shared pool. */
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
    // A truncated stream is an error, never a partial body.
    const options = { maxOutputLength: maxBytes, finishFlush: constants.Z_FINISH };
    const whole = await decompressors[encoding](sent, options);
    return join([whole], whole.length);
  } catch (error) {
    if (error instanceof RangeError) throw bodyTooLarge(maxBytes);
    throw new PerennialError(
      'bad_request',
      `The body is not a complete ${encoding} stream, despite its Content-Encoding. Compress it again.`,
    );
  }
}

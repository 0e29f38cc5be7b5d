import type { Request } from 'express';
import { createGunzip, createInflate, type Gunzip, type Inflate } from 'node:zlib';
import { PerennialError } from '../../../contracts/errors.js';
import { contextOf } from '../request-context.js';
import { bodyTooLarge, encodingOf } from './body-faults.js';
import { GrowingBuffer } from './growing-buffer.js';
import { watchBody, type Pace } from './watch-body.js';

/**
 * Reads a whole body, decompressed if the route accepts compression. The body must be unread. The bytes have their own
 * ArrayBuffer, and are charged to the memory budget of the request as they arrive. The rest of a refused body stays
 * unread: the error response drains it.
 * @throws PerennialError too_large; overloaded if memory is short; bad_request if it ends early or comes in tiny pieces;
 * body_timeout if it is too slow
 */
export function readBody(request: Request, maxBytes: number, pace?: Pace): Promise<Buffer<ArrayBuffer>> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > maxBytes) return Promise.reject(bodyTooLarge(maxBytes));
  if (request.destroyed) return Promise.reject(endedEarly());
  return new Promise((resolve, reject) => new Reading(request, { maxBytes, pace, resolve, reject }).start());
}

/** The error for a request whose client has disconnected. */
export function endedEarly(): PerennialError {
  return new PerennialError('bad_request', 'The request ended before its body was complete. Send it again.');
}

interface ReadingOptions {
  maxBytes: number;
  pace: Pace | undefined;
  resolve: (body: Buffer<ArrayBuffer>) => void;
  reject: (error: PerennialError) => void;
}

/** One body while it arrives: its pieces go into a buffer, through the decompressor if there is one. */
class Reading {
  readonly #buffer: GrowingBuffer;
  readonly #charge: ReturnType<typeof contextOf>['memory'];
  readonly #decompressor: Gunzip | Inflate | null;
  #stopWatch: () => void = () => undefined;
  #isOver = false;

  constructor(
    private readonly request: Request,
    private readonly options: ReadingOptions,
  ) {
    const { 'content-length': declared } = request.headers;
    this.#charge = contextOf(request).memory;
    this.#decompressor = decompressorOf(request);
    const isLengthKnown = declared !== undefined && this.#decompressor === null;
    this.#buffer = new GrowingBuffer(isLengthKnown ? Number(declared) : null, (bytes) => this.#hold(bytes));
  }

  start(): void {
    const { request } = this;
    this.#charge?.cutWith(() => this.#fail(cutForOthers()));
    this.#stopWatch = watchBody(request, (error) => this.#fail(error), this.options.pace);
    request.once('error', this.#abort).once('close', this.#abort);
    if (this.#decompressor === null) request.on('data', this.#take).once('end', this.#finish);
    else request.pipe(this.#decompressor).on('data', this.#take).once('end', this.#finish).once('error', this.#spoil);
  }

  readonly #take = (piece: Buffer): void => {
    if (this.#isOver) return;
    try {
      if (this.#buffer.bytes + piece.length > this.options.maxBytes) throw bodyTooLarge(this.options.maxBytes);
      this.#buffer.add(piece);
    } catch (error) {
      this.#fail(error instanceof PerennialError ? error : new PerennialError('internal', String(error)));
    }
  };

  readonly #finish = (): void => {
    this.#leave();
    this.options.resolve(this.#buffer.whole());
  };

  /** The client has disconnected; a body that has arrived may still be in the decompressor. */
  readonly #abort = (): void => {
    if (!this.request.readableEnded) this.#fail(endedEarly());
  };

  readonly #spoil = (): void => {
    const detail = `The body is not a complete ${encodingOf(this.request)} stream, despite its Content-Encoding.`;
    this.#fail(new PerennialError('bad_request', `${detail} Compress it again.`));
  };

  #hold(bytes: number): void {
    if (this.#charge?.hold(bytes) === false) throw memoryShort();
  }

  #fail(error: PerennialError): void {
    if (this.#isOver) return;
    this.#leave();
    this.#charge?.release();
    this.request.pause();
    this.options.reject(error);
  }

  #leave(): void {
    this.#isOver = true;
    this.#stopWatch();
    this.#charge?.cutWith(null);
    const { request } = this;
    request.off('data', this.#take).off('end', this.#finish).off('error', this.#abort).off('close', this.#abort);
    if (this.#decompressor === null) return;
    request.unpipe(this.#decompressor);
    this.#decompressor
      .off('error', this.#spoil)
      .on('error', () => undefined)
      .destroy();
  }
}

/** Decompresses as the bytes arrive; a truncated stream is an error, never a partial body. */
function decompressorOf(request: Request): Gunzip | Inflate | null {
  const encoding = encodingOf(request);
  if (encoding === 'identity') return null;
  return encoding === 'gzip' ? createGunzip({ chunkSize: 65_536 }) : createInflate({ chunkSize: 65_536 });
}

function memoryShort(): PerennialError {
  return new PerennialError('overloaded', 'Too many large requests are being read at once. Retry later.');
}

function cutForOthers(): PerennialError {
  return new PerennialError(
    'overloaded',
    'Other clients need the memory for request bodies, of which this one holds more than its share. Send fewer at once.',
  );
}

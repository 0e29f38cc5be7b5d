import type { IncomingMessage } from 'node:http';
import { PerennialError } from '../../../contracts/errors.js';

/** Minimum rate of a body. */
export interface Pace {
  bytes: number;
  everyMs: number;
}

/** A slower body only occupies a connection; one that is shorter must be complete within the time. */
const leastPace: Pace = { bytes: 100_000, everyMs: 30_000 };

/** Each piece costs the work of a callback: after this many, their average size must be sensible. */
const freePieces = 20_000;
const leastPieceBytes = 16;

/**
 * Watches how a body arrives, for every reader of one. Calls `fail` once, if it is slower than the minimum rate or comes
 * in tiny pieces. The body flows from now on. Returns the function that ends the watch; the end of the body does too.
 */
export function watchBody(
  request: IncomingMessage,
  fail: (error: PerennialError) => void,
  pace: Pace = leastPace,
): () => void {
  let [bytes, bytesBefore, pieces] = [0, 0, 0];
  const count = (piece: Buffer): void => {
    bytes += piece.length;
    pieces += 1;
    if (areTiny(pieces, bytes)) end(inTinyPieces(pieces, bytes));
  };
  const look = (): void => {
    const recent = bytes - bytesBefore;
    bytesBefore = bytes;
    // A paused body waits for its reader, not for its client.
    if (recent < pace.bytes && !request.isPaused()) end(tooSlow(recent, pace));
  };
  const timer = setInterval(look, pace.everyMs).unref();
  const stop = (): void => {
    clearInterval(timer);
    request.off('data', count).off('end', stop).off('close', stop);
  };
  const end = (error: PerennialError): void => {
    stop();
    fail(error);
  };
  request.on('data', count).once('end', stop).once('close', stop);
  return stop;
}

/** Whether the pieces of a body are so small that handling them costs more than the body is worth. */
export function areTiny(pieces: number, bytes: number): boolean {
  return pieces > freePieces && bytes < pieces * leastPieceBytes;
}

function inTinyPieces(pieces: number, bytes: number): PerennialError {
  return new PerennialError(
    'bad_request',
    `The body comes in tiny pieces: ${pieces} of them had ${bytes} bytes. Send it in pieces of a kilobyte and more.`,
  );
}

function tooSlow(bytes: number, pace: Pace): PerennialError {
  const seen = `${bytes} bytes came in ${pace.everyMs / 1000} s; at least ${pace.bytes} are expected, or the end`;
  return new PerennialError(
    'body_timeout',
    `The upload is too slow: of the body ${seen}. Retry on a faster connection.`,
  );
}

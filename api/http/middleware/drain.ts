import type { RequestHandler } from 'express';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { areTiny } from '../body/watch-body.js';

/** Maximum bytes of a refused body that are still read, so that the client can read the answer. */
export const drainLimits = { bytes: 100_000_000, ms: 10_000 } as const;

/** A body up to this size is read to the end to keep the connection. */
const shortBytes = 1_000_000;

/**
 * Ends a response whose request body was not read completely. Closing at once would reset the connection of a client that
 * is still sending, so that it never sees the answer. So the answer is sent first, the rest of the body is discarded
 * within bounds, and then the connection is closed.
 */
export function endAfterDrain(request: IncomingMessage, response: ServerResponse, body: string): void {
  response.setHeader('Content-Length', Buffer.byteLength(body));
  const length =
    request.headers['transfer-encoding'] === undefined ? Number(request.headers['content-length'] ?? 0) : Infinity;
  if (length === 0 || request.complete || request.destroyed) {
    response.end(body);
    return;
  }
  if (length > shortBytes) response.setHeader('Connection', 'close');
  response.write(body);
  drain(request, () => {
    drained.add(request);
    response.end();
  });
}

/** Requests whose bodies were discarded as far as the bounds allow. */
const drained = new WeakSet<IncomingMessage>();

/**
 * Closes the connection of a body that is not complete some time after the response, such as the body of a GET request:
 * it has no reader, Node discards what comes, and without a bound it could continue without end.
 */
export function closeUnreadBodies(afterMs: number = drainLimits.ms): RequestHandler {
  return (request, response, next) => {
    response.once('finish', () => {
      if (request.complete) return;
      const leave = (): void => {
        if (!request.complete) request.socket.destroySoon();
      };
      if (drained.has(request)) leave();
      else setTimeout(leave, afterMs).unref();
    });
    next();
  };
}

function drain(request: IncomingMessage, done: () => void): void {
  let [bytes, pieces] = [0, 0];
  const finish = (): void => {
    clearTimeout(timer);
    request.off('data', count).off('end', finish).off('close', finish);
    done();
  };
  const count = (piece: Buffer): void => {
    bytes += piece.length;
    pieces += 1;
    if (bytes > drainLimits.bytes || areTiny(pieces, bytes)) finish();
  };
  const timer = setTimeout(finish, drainLimits.ms);
  request.on('data', count).once('end', finish).once('close', finish);
  request.resume();
}

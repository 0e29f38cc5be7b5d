import type { Request } from 'express';
import { parseQueue } from './parse-queue.js';
import { endedEarly, readBody } from '../../http/body/read-body.js';

/**
 * Reads a body that takes milliseconds to parse, and waits for the turn to do so, which has come when this settles.
 * `admit` throws what the request would be refused with if its latency counted from a moment: it is asked before a
 * byte is read, and again before anything is parsed, which takes more time than refusing. `receivedAt` is when the
 * body was there, in the time of `performance.now()`.
 * @throws PerennialError what `readBody` and `admit` throw; bad_request when the client has gone meanwhile
 */
export async function receiveInTurn(
  request: Request,
  maxBytes: number,
  admit: (receivedAt: number) => void,
): Promise<{ body: Buffer<ArrayBuffer>; receivedAt: number }> {
  admit(performance.now() - parseQueue.backlogMs);
  const body = await readBody(request, maxBytes).finally(parseQueue.announce());
  const receivedAt = performance.now();
  await parseQueue.turn();
  // Nobody waits for the answer, and what the body took of the memory for bodies has been given back.
  if (request.socket.destroyed) throw endedEarly();
  admit(receivedAt);
  return { body, receivedAt };
}

import type { Request } from 'express';
import { parseQueue } from './parse-queue.js';
import { endedEarly, readBody } from '../../http/body/read-body.js';

/**
 * Reads a body that takes milliseconds to parse, and waits for its turn in the parse queue. `admit` throws the refusal of
 * the request for a given arrival time: it is called before the body is read, and again before parsing, which costs more
 * than refusing. `receivedAt` is the arrival of the complete body, as `performance.now()`.
 * @throws PerennialError what `readBody` and `admit` throw; bad_request if the client has disconnected
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
  // The client is gone, and the memory budget of the body was released.
  if (request.socket.destroyed) throw endedEarly();
  admit(receivedAt);
  return { body, receivedAt };
}

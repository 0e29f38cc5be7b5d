import { createServer, type RequestListener } from 'node:http';
import { PerennialError } from '../../../contracts/errors.js';
import { trackConnections } from './connections.js';
import { createGate, stopServer } from './graceful-shutdown.js';
import { answerClientErrors, type Observer } from './client-errors.js';

export interface Listening {
  port: number;
  /**
   * Takes leave of its clients, for at least `leaveMs`, waits for the answers under way, and after `graceMs` cuts off
   * what is left. Who gets a connection meanwhile gets an answer.
   */
  stop(graceMs: number, leaveMs?: number): Promise<void>;
}

/**
 * Node's own five minutes would cut off a large upload over a slow line with a bare 408; headers have no such excuse.
 * Idle connections stay open longer than load balancers keep theirs (a minute, as a rule): if we closed first, a
 * request that is on its way meanwhile would be lost.
 */
const timeouts = { requestTimeout: 3_600_000, headersTimeout: 60_000, keepAliveTimeout: 75_000 };

/** Refused by the application, with a problem. */
const settings = { ...timeouts, requireHostHeader: false };

/**
 * Listens for HTTP. `observer` is told of the requests that the parser refuses and `handler` never sees.
 * Throws `configuration_invalid` when the port is taken or may not be used.
 */
export async function listen(
  handler: RequestListener,
  host: string,
  port: number,
  observer: Observer | null = null,
): Promise<Listening> {
  const gate = createGate(handler);
  const server = createServer(settings, gate.handler);
  const connections = trackConnections(server);
  answerClientErrors(server, connections, observer);
  // An expectation that nobody knows may be ignored; Node would answer with a bare 417.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    stop: (graceMs, leaveMs = 0) => stopServer({ server, connections, gate, graceMs, leaveMs }),
  };
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another process uses it',
    EACCES: 'this user may not use it',
    EADDRNOTAVAIL: 'this machine has no such address',
  };
  const reason = reasons[error.code ?? ''];
  if (reason === undefined) return error;
  return new PerennialError(
    'configuration_invalid',
    `The API cannot listen on ${host}:${port}: ${reason}. Set PORT (or HOST) to another one, or free it.`,
    { cause: error },
  );
}

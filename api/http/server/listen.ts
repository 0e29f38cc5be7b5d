import { createServer } from 'node:http';
import { PerennialError } from '../../../contracts/errors.js';
import { trackConnections } from './connections.js';
import { createGate, stopServer } from './graceful-shutdown.js';
import { answerClientErrors, type Observer } from './client-errors.js';
import { keepUnread, type Room } from './unread-connections.js';
import { messageClasses, type Handler } from './message-classes.js';

export interface Listening {
  port: number;
  /**
   * Graceful shutdown: drains for at least `leaveMs`, waits for pending responses, and after `graceMs` closes what is left.
   * Connections accepted meanwhile are answered.
   */
  stop(graceMs: number, leaveMs?: number): Promise<void>;
}

/**
 * Node's default request timeout of five minutes would end a large upload over a slow connection with an empty 408.
 * Idle connections stay open longer than in load balancers (usually a minute): closing first would lose a request in
 * flight.
 */
const timeouts = { requestTimeout: 3_600_000, headersTimeout: 60_000, keepAliveTimeout: 75_000 };

/** The application refuses larger ones with a problem. */
const settings = { ...timeouts, requireHostHeader: false };

/**
 * Listens for HTTP. `observer` sees requests that the parser refuses. Throws `configuration_invalid` if the port is in use
 * or not permitted. New connections stay unread while `refusals` have no room.
 */
export async function listen(
  handler: Handler,
  host: string,
  port: number,
  observer: Observer | null = null,
  refusals: Room | null = null,
): Promise<Listening> {
  const gate = createGate(handler);
  const server = createServer({ ...settings, ...messageClasses(handler) }, gate.handler);
  const connections = trackConnections(server);
  answerClientErrors(server, connections, observer);
  if (refusals !== null) keepUnread(server, refusals);
  // Unknown expectations may be ignored; Node would answer with an empty 417.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  // After the start an error means that a connection could not be accepted, for instance with too many open files. It
  // concerns that connection only; without a listener it would end the process.
  server.on('error', (error) => observer?.logger.warn({ error }, 'a connection could not be accepted'));
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

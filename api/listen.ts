import { createServer, type RequestListener, type Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { PerennialError } from '../contracts/errors.js';
import { followConnections, type Connections } from './connections.js';

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

/** Listens for HTTP. Throws `configuration_invalid` when the port is taken or may not be used. */
export async function listen(handler: RequestListener, host: string, port: number): Promise<Listening> {
  const server = createServer(timeouts, handler);
  const connections = followConnections(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    stop: (graceMs, leaveMs = 0) => stopServer(server, connections, graceMs, leaveMs),
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

/** How long clients may go on coming; each answer tells them that it is the last on its connection. */
const longestLeaveMs = 500;

/** After so long without a new connection, and with none open, everybody has understood. */
const quietMs = 100;

async function stopServer(server: Server, connections: Connections, graceMs: number, leaveMs: number): Promise<void> {
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  connections.takeLeave();
  await leave(connections, leaveMs, Math.max(leaveMs, Math.min(longestLeaveMs, graceMs / 4)));
  await turnWithoutArrivals(connections);
  const closed = new Promise<void>((resolve) => {
    // That of http would also cut off the connections whose answers are on their way to slow readers.
    NetServer.prototype.close.call(server, () => resolve());
  });
  // A connection that was kept alive becomes idle only after its answer; nobody else would close it then.
  const sweep = setInterval(() => connections.closeIdle(), 50);
  await closed;
  clearInterval(sweep);
  clearTimeout(cut);
}

/**
 * Goes on listening for `leastMs`, and then until nobody comes any more, but not for longer than `mostMs`. Whoever is
 * told that we are not ready any more needs time to send its clients elsewhere. A connection that is closed while a
 * request comes in on it loses the request, and nobody knows whether it was done.
 */
async function leave(connections: Connections, leastMs: number, mostMs: number): Promise<void> {
  const startedAt = performance.now();
  let taken = connections.taken();
  let quietSince = startedAt;
  for (let now = startedAt; now - startedAt < mostMs; now = performance.now()) {
    if (connections.taken() !== taken || connections.open() > 0) quietSince = now;
    taken = connections.taken();
    if (now - startedAt >= leastMs && now - quietSince >= Math.min(quietMs, mostMs)) return;
    await sleep(10);
  }
}

const mostTurns = 2_000;
const shortTurnMs = 0.05;

/**
 * Ends in a turn of the event loop in which nobody came and nothing else took time. Clients that the kernel has
 * connected, but that we have not accepted yet, are reset when we stop listening: the queue must have been found empty
 * just before. What is left of that gap are microseconds.
 */
async function turnWithoutArrivals(connections: Connections): Promise<void> {
  for (let turn = 0; turn < mostTurns; turn++) {
    const taken = connections.taken();
    const startedAt = performance.now();
    await nextTurn();
    if (connections.taken() === taken && performance.now() - startedAt < shortTurnMs) return;
  }
}

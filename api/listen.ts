import { createServer, type RequestListener, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { PerennialError } from '../contracts/errors.js';

export interface Listening {
  port: number;
  /** Takes leave of its clients, waits for the answers under way, and after `graceMs` cuts off what is left. */
  stop(graceMs: number): Promise<void>;
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
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    stop: (graceMs) => stopServer(server, graceMs),
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

/** How long clients may go on sending on connections they kept; each answer tells them that it is the last there. */
const longestLeaveMs = 500;

async function stopServer(server: Server, graceMs: number): Promise<void> {
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await takeLeave(server, Math.min(longestLeaveMs, graceMs / 4));
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  // A connection that is kept alive becomes idle only after its answer; nobody else would close it then.
  const sweep = setInterval(() => server.closeIdleConnections(), 50);
  await closed;
  clearInterval(sweep);
  clearTimeout(cut);
}

/** A connection that is closed while a request comes in on it loses the request, and nobody knows whether it was done. */
async function takeLeave(server: Server, ms: number): Promise<void> {
  server.prependListener('request', (_request, response) => {
    response.shouldKeepAlive = false;
  });
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt && (await countConnections(server)) > 0) await sleep(10);
}

function countConnections(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((_error, count) => resolve(count));
  });
}

import type { RequestListener, Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Connections } from './connections.js';

/** Lets requests pass, or delays them shortly. */
export interface Gate {
  handler: RequestListener;
  shut(): void;
  open(): void;
}

/** An open gate before a handler. */
export function createGate(handler: RequestListener): Gate {
  let waiting: (() => void)[] | null = null;
  return {
    handler(request, response) {
      if (waiting) waiting.push(() => handler(request, response));
      else handler(request, response);
    },
    shut() {
      waiting ??= [];
    },
    open() {
      const admitted = waiting ?? [];
      waiting = null;
      for (const enter of admitted) enter();
    },
  };
}

export interface Leaving {
  server: Server;
  connections: Connections;
  gate: Gate;
  /** Time after which remaining connections are closed. */
  graceMs: number;
  /** Minimum time during which new connections are accepted. */
  leaveMs: number;
}

/** Maximum drain time; every response closes its connection. */
const longestLeaveMs = 500;

/** The drain ends after this time without an open or new connection. */
const quietMs = 100;

/** Graceful shutdown: every accepted connection gets a complete response. */
export async function stopServer({ server, connections, gate, graceMs, leaveMs }: Leaving): Promise<void> {
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  connections.closeAfterResponses();
  await leave(connections, leaveMs, Math.max(leaveMs, Math.min(longestLeaveMs, graceMs / 4)));
  await emptyQueue(connections, gate);
  const closed = new Promise<void>((resolve) => {
    // Not http's `close`, which would also close connections whose responses are still being read.
    NetServer.prototype.close.call(server, () => resolve());
  });
  gate.open();
  // A keep-alive connection becomes idle only after its response: close it then.
  const sweep = setInterval(() => connections.closeIdle(), 50);
  await closed;
  clearInterval(sweep);
  clearTimeout(cut);
}

/**
 * Accepts connections for `leastMs`, and then until no client connects, at most `mostMs`. A load balancer needs time to
 * react to the failed readiness. Closing a connection while a request arrives on it would lose the request, and the
 * client could not know whether it was executed.
 */
async function leave(connections: Connections, leastMs: number, mostMs: number): Promise<void> {
  const startedAt = performance.now();
  let taken = connections.taken();
  let quietSince = startedAt;
  for (let now = startedAt; now - startedAt < mostMs; now = performance.now()) {
    if (connections.taken() !== taken || connections.open() > 0) quietSince = now;
    taken = connections.taken();
    if (now - startedAt >= leastMs && now - quietSince >= quietMs) return;
    await sleep(10);
  }
}

const pauseMs = 10;
const longestHoldMs = 200;
const shortTurnMs = 0.05;

/**
 * Resolves on an event-loop turn in which no connection arrived and no other work ran. Connections in the kernel's accept
 * queue are reset when listening stops, so the queue must have been empty just before; later arrivals cannot be prevented.
 * Clients that reconnect immediately are delayed, to create a pause in which listening can stop.
 */
async function emptyQueue(connections: Connections, gate: Gate): Promise<void> {
  gate.shut();
  const endsAt = performance.now() + longestHoldMs;
  let taken = connections.taken();
  let quietSince = performance.now();
  for (let now = quietSince; now < endsAt + longestHoldMs;) {
    const startedAt = now;
    await nextTurn();
    now = performance.now();
    if (connections.taken() !== taken) quietSince = now;
    else if (now - startedAt < shortTurnMs && (now - quietSince >= pauseMs || now > endsAt)) return;
    taken = connections.taken();
  }
}

import type { RequestListener, Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Connections } from './connections.js';

/** Lets requests through, or keeps them waiting for a moment. */
export interface Gate {
  handler: RequestListener;
  shut(): void;
  open(): void;
}

/** A gate before a handler, which stands open. */
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
  /** After so long, what is left is cut off. */
  graceMs: number;
  /** For at least so long new connections are taken. */
  leaveMs: number;
}

/** How long clients may go on coming; each answer tells them that it is the last on its connection. */
const longestLeaveMs = 500;

/** After so long without a new connection, and with none open, everybody has understood. */
const quietMs = 100;

/** Stops a server so that whoever got a connection gets a whole answer as well. */
export async function stopServer({ server, connections, gate, graceMs, leaveMs }: Leaving): Promise<void> {
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  connections.takeLeave();
  await leave(connections, leaveMs, Math.max(leaveMs, Math.min(longestLeaveMs, graceMs / 4)));
  await emptyQueue(connections, gate);
  const closed = new Promise<void>((resolve) => {
    // That of http would also cut off the connections whose answers are on their way to slow readers.
    NetServer.prototype.close.call(server, () => resolve());
  });
  gate.open();
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
    if (now - startedAt >= leastMs && now - quietSince >= quietMs) return;
    await sleep(10);
  }
}

const pauseMs = 10;
const longestHoldMs = 200;
const shortTurnMs = 0.05;

/**
 * Ends in a turn of the event loop in which nobody came and nothing else took time. Clients that the kernel has
 * connected, but that we have not accepted yet, are reset when we stop listening: the queue must have been found empty
 * just before, and there is no way to keep others from coming between that and the end. Clients that come again as
 * soon as they are answered are made to wait, so that there is a pause to stop in.
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

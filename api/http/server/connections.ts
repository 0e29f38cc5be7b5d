import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What an HTTP server has open. Made before the server listens. */
export interface Connections {
  /** How many connections were taken so far. */
  taken(): number;
  /** How many are open. */
  open(): number;
  /** The requests on a connection whose answers are not out yet, oldest first. */
  underWay(socket: Socket): readonly Exchange[];
  /** From now on each answer says that it is the last on its connection. */
  takeLeave(): void;
  /** Closes the connections that had their answers and said nothing since. */
  closeIdle(): void;
}

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

interface Connection {
  exchanges: Set<Exchange>;
  /** How much the client had sent when the last answer was out; null before the first one. */
  bytesAtAnswer: number | null;
}

/**
 * Follows the connections of a server. Node's `closeIdleConnections` takes a connection for idle as soon as the handler
 * has written its answer, and cuts it off while a slow client still reads; here it is idle when the answer is out.
 */
export function trackConnections(server: Server): Connections {
  const connections = new Map<Socket, Connection>();
  let taken = 0;
  let isLeaving = false;
  server.on('connection', (socket) => {
    taken++;
    connections.set(socket, { exchanges: new Set(), bytesAtAnswer: null });
    socket.once('close', () => connections.delete(socket));
  });
  server.prependListener('request', (request, response) => {
    const connection = connections.get(request.socket);
    if (connection) followExchange(connection, { request, response });
    if (isLeaving) response.shouldKeepAlive = false;
  });
  return {
    taken: () => taken,
    open: () => connections.size,
    underWay: (socket) => [...(connections.get(socket)?.exchanges ?? [])],
    takeLeave() {
      isLeaving = true;
      for (const { exchanges } of connections.values()) {
        for (const { response } of exchanges) response.shouldKeepAlive = false;
      }
    },
    closeIdle() {
      for (const [socket, { exchanges, bytesAtAnswer }] of connections) {
        if (exchanges.size === 0 && socket.bytesRead === bytesAtAnswer) socket.destroy();
      }
    },
  };
}

function followExchange(connection: Connection, exchange: Exchange): void {
  connection.exchanges.add(exchange);
  exchange.response.once('close', () => {
    connection.exchanges.delete(exchange);
    connection.bytesAtAnswer = exchange.request.socket.bytesRead;
  });
}

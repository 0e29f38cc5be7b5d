import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The open connections of an HTTP server. Create it before the server listens. */
export interface Connections {
  /** Number of connections accepted so far. */
  taken(): number;
  /** Number of open connections. */
  open(): number;
  /** Unanswered requests of a connection, oldest first. */
  underWay(socket: Socket): readonly Exchange[];
  /** From now on every response has `Connection: close`. */
  closeAfterResponses(): void;
  /** Closes connections whose requests are answered and that sent nothing since. */
  closeIdle(): void;
}

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

interface Connection {
  exchanges: Set<Exchange>;
  /** Bytes received when the last response was sent; null before the first one. */
  bytesAtAnswer: number | null;
}

/**
 * Tracks the connections of a server. Node's `closeIdleConnections` treats a connection as idle once the handler has
 * written its response, and cuts off slow readers; here it is idle once the response is sent.
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
    closeAfterResponses() {
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

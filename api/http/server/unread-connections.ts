import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Tells whether requests of new connections may be read. */
export interface Room {
  /** How many requests there is room for. */
  readonly room: number;
  onRoom(enter: () => void): void;
}

/** Limits of the connections that wait unread. Each takes a few kilobytes. */
const defaultLimits = { most: 10_000, longestMs: 10_000 };

/**
 * Leaves new connections unread while there is no room for their requests: they wait in their order, and are closed after
 * a while. A client that opens a connection for every request would otherwise cause work as fast as it can connect.
 */
export function keepUnread(server: Server, room: Room, { most, longestMs } = defaultLimits): void {
  const waiting = new Map<Socket, NodeJS.Timeout>();
  const forget = (socket: Socket): void => {
    clearTimeout(waiting.get(socket));
    waiting.delete(socket);
  };
  server.on('connection', (socket: Socket) => {
    if (room.room > 0) return;
    if (waiting.size >= most) {
      socket.destroy();
      return;
    }
    // After the tick in which Node's parser begins to read; nothing has been read by then.
    process.nextTick(() => {
      if (waiting.has(socket)) socket.pause();
    });
    waiting.set(
      socket,
      setTimeout(() => socket.destroy(), longestMs),
    );
    socket.once('close', () => forget(socket));
  });
  room.onRoom(() => {
    let left = room.room;
    for (const socket of waiting.keys()) {
      if (left-- <= 0) break;
      forget(socket);
      socket.resume();
    }
  });
}

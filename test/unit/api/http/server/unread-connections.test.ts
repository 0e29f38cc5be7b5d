import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { keepUnread, type Room } from '../../../../../api/http/server/unread-connections.js';

/** Room that a test changes. */
class TestRoom implements Room {
  room = 0;
  enter: () => void = () => undefined;

  onRoom(enter: () => void): void {
    this.enter = enter;
  }

  make(room: number): void {
    this.room = room;
    this.enter();
  }
}

describe('connections without room', () => {
  let server: Server;
  let room: TestRoom;
  let requests: string[];

  beforeEach(async () => {
    room = new TestRoom();
    requests = [];
    server = createServer((request, response) => {
      requests.push(request.url ?? '');
      response.end('here');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  });

  /** Connects and sends a request; resolves when the server has the connection. */
  async function send(path: string): Promise<{ answered: Promise<unknown>; closed: Promise<unknown> }> {
    const address = server.address();
    const accepted = once(server, 'connection');
    const socket = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
    socket.on('error', () => undefined);
    const on = (event: string): Promise<void> => new Promise((resolve) => void socket.once(event, () => resolve()));
    const sent = { answered: on('data'), closed: on('close') };
    socket.write(`GET ${path} HTTP/1.1\r\nHost: here\r\n\r\n`);
    await accepted;
    return sent;
  }

  it('wait unread and enter in their order, as many as there is room for', async () => {
    keepUnread(server, room);
    const sent = [await send('/1'), await send('/2'), await send('/3')];
    await sleep(100);
    expect(requests).toEqual([]);
    room.make(2);
    await Promise.all([sent[0]?.answered, sent[1]?.answered]);
    expect(requests.sort()).toEqual(['/1', '/2']);
    room.make(5);
    await sent[2]?.answered;
    expect(requests).toHaveLength(3);
  });

  it('are closed unanswered after a while, and at once where too many wait', async () => {
    keepUnread(server, room, { most: 1, longestMs: 100 });
    const sent = [await send('/1'), await send('/2')];
    await Promise.all(sent.map(({ closed }) => closed));
    room.make(5);
    expect(requests).toEqual([]);
  });

  it('are read at once where there is room', async () => {
    keepUnread(server, room);
    room.make(1);
    await (
      await send('/1')
    ).answered;
    expect(requests).toEqual(['/1']);
  });
});

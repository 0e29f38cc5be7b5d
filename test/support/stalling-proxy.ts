import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { z } from 'zod';

/** A TCP proxy in front of a service. Stalled, it accepts connections and passes no byte in either direction. */
export interface StallingProxy {
  /** `127.0.0.1:<port>` */
  address: string;
  stall(): void;
  /** Closes all connections, which lack bytes, and passes those of new ones. */
  resume(): void;
  stop(): Promise<void>;
}

export async function startStallingProxy(target: string): Promise<StallingProxy> {
  const [host = '', port = ''] = target.split(':');
  const open = new Set<Socket>();
  let isStalled = false;
  const track = (socket: Socket): Socket => {
    open.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => open.delete(socket));
    return socket;
  };
  const pass = (from: Socket, to: Socket): void => {
    from.on('data', (chunk) => {
      if (!isStalled) to.write(chunk);
    });
    from.on('end', () => to.end());
  };
  const server = createServer((client) => {
    track(client);
    if (isStalled) {
      client.resume();
      return;
    }
    const service = track(connect(Number(port), host));
    pass(client, service);
    pass(service, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: ownPort } = z.object({ port: z.number() }).parse(server.address());
  const closeAll = (): void => {
    for (const socket of open) socket.destroy();
  };
  return {
    address: `127.0.0.1:${ownPort}`,
    stall: () => void (isStalled = true),
    resume() {
      isStalled = false;
      closeAll();
    },
    async stop() {
      closeAll();
      server.close();
      await once(server, 'close');
    },
  };
}

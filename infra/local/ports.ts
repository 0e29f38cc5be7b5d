import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const loopback = '127.0.0.1';
/** Below the ephemeral ports: those start at 32768 on Linux, at 49152 on macOS and Windows. */
const [firstPort, lastPort] = [10_000, 29_999];

/** Whether a server could listen on this port now. */
export function isPortFree(port: number, host = loopback): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * Different free ports of the loopback address, below the ephemeral range: the system does not give one of them to another
 * connection or server between this check and its use.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(firstPort, lastPort + 1);
    if (!ports.has(port) && (await isPortFree(port))) ports.add(port);
  }
  return [...ports];
}

/** Whether an HTTP server answers with a status that `accept` returns true for. */
export async function answersHttp(url: string, accept: (status: number) => boolean): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000), redirect: 'manual' });
    await response.body?.cancel();
    return accept(response.status);
  } catch {
    return false;
  }
}

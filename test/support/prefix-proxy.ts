import { createServer, request as send } from 'node:http';

export interface PrefixProxy {
  /** With the prefix, without a slash at the end. */
  url: string;
  stop(): Promise<void>;
}

/** A proxy that offers a server under a prefix, and strips the prefix or not. Other paths get 404. */
export async function startPrefixProxy(target: string, prefix: string, strips: boolean): Promise<PrefixProxy> {
  const proxy = createServer((request, response) => {
    const path = request.url ?? '/';
    if (!path.startsWith(prefix)) {
      response.writeHead(404).end('the proxy has nothing here');
      return;
    }
    const { method, headers } = request;
    const forwardedTo = new URL(target + (strips ? path.slice(prefix.length) : path));
    const forwarded = send(forwardedTo, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    forwarded.on('error', () => response.destroy());
    request.pipe(forwarded);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return {
    url: `http://127.0.0.1:${port}${prefix}`,
    stop: () =>
      new Promise((resolve) => {
        proxy.close(() => resolve());
        proxy.closeAllConnections();
      }),
  };
}

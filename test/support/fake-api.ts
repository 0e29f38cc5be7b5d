import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export interface FakeAnswer {
  status?: number;
  body: unknown;
}

export interface FakeApi {
  url: string;
  /** `<method> <path>` of each request, in order, with its body. */
  requests: { what: string; body: string }[];
  close(): Promise<void>;
}

/** An HTTP server that answers each `<method> <path>` with its answers in order, and repeats the last one. */
export async function startFakeApi(answers: Record<string, FakeAnswer[]>): Promise<FakeApi> {
  const requests: FakeApi['requests'] = [];
  const left = new Map(Object.entries(answers).map(([what, list]) => [what, [...list]]));
  const server = createServer((request, response) => {
    void answer(request, response);
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = '';
    for await (const chunk of request.setEncoding('latin1')) body += String(chunk);
    const what = `${request.method ?? ''} ${request.url ?? ''}`;
    requests.push({ what, body });
    const list = left.get(what) ?? [];
    const next = (list.length > 1 ? list.shift() : list[0]) ?? { status: 404, body: {} };
    response.writeHead(next.status ?? 200, { 'content-type': 'application/json' }).end(JSON.stringify(next.body));
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}` : '',
    requests,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

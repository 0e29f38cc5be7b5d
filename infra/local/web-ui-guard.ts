import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import { createHostCheck, hostNameOf } from '../../platform/allowed-hosts.js';
import { authoritiesOf } from '../../platform/authorities.js';
import { foreignOrigin } from '../../platform/foreign-origin.js';

export interface Place {
  host: string;
  port: number;
}

/**
 * Serves the Web UI of Temporal, which runs at `hidden`, on the loopback address. It answers under loopback names only, and
 * to its own pages only when something would change: the UI itself answers under any name, so that a page that rebinds its
 * name could start and terminate workflows. Returns the function that closes it.
 */
export async function guardWebUi(port: number, hidden: Place): Promise<() => void> {
  const server = createServer((request, response) => {
    const refusal = refusalOf(request);
    if (refusal === null) pass(request, response, hidden);
    else answer(response, refusal.status, refusal.reason);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  server.unref();
  return () => {
    server.close();
    server.closeAllConnections();
  };
}

const isAllowed = createHostCheck([]);

function refusalOf(request: IncomingMessage): { status: number; reason: string } | null {
  const { method = '', headers, headersDistinct } = request;
  const authorities = authoritiesOf(request);
  if (!authorities.every((each) => isAllowed(hostNameOf(each) ?? ''))) {
    return { status: 421, reason: 'The Temporal Web UI answers under localhost and 127.0.0.1 only.' };
  }
  const fetchSite = headersDistinct['sec-fetch-site']?.join(', ');
  const foreign = foreignOrigin({ method, host: authorities[0], origin: headers.origin, fetchSite }, []);
  return foreign === null ? null : { status: 403, reason: `A page of another origin sent this request (${foreign}).` };
}

function pass(request: IncomingMessage, response: ServerResponse, { host, port }: Place): void {
  const { method, url, headers } = request;
  const onward = forward({ host, port, method, path: url, headers }, (answered) => {
    response.writeHead(answered.statusCode ?? 502, answered.headers);
    answered.pipe(response);
    answered.once('error', () => response.destroy());
  });
  onward.once('error', () => {
    if (response.headersSent) response.destroy();
    else answer(response, 502, 'Temporal does not answer. If it was restarted, try again in a moment.');
  });
  response.once('close', () => onward.destroy());
  request.pipe(onward);
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' });
  response.end(`${text}\n`);
}

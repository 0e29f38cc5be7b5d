import { randomUUID } from 'node:crypto';
import { maxHeaderSize, STATUS_CODES, type Server } from 'node:http';
import { Socket } from 'node:net';
import { z } from 'zod';
import { errorTable, PerennialError } from '../../../contracts/errors.js';
import type { Logger } from '../../../platform/logging.js';
import type { Connections, Exchange } from './connections.js';
import { problemFormatOf } from '../problem-format.js';
import type { RequestMetrics } from '../request-metrics.js';
import { problemOf } from '../problems.js';
import { contextOf } from '../request-context.js';

/** Observes requests that never reach the application. */
export interface Observer {
  logger: Pick<Logger, 'info' | 'warn'>;
  metrics: Pick<RequestMetrics, 'countRequest'>;
}

/**
 * Answers errors of Node's HTTP parser (`clientError`) with problems. An error in a head belongs to no request; an error
 * in a body belongs to the current request, which gets the problem as its answer.
 */
export function answerClientErrors(server: Server, connections: Connections, observer: Observer | null): void {
  const refused = new WeakSet<object>();
  server.on('clientError', (thrown, socket) => {
    // After an error the parser fails on everything that follows: handle the first one only.
    if (refused.has(socket)) return;
    refused.add(socket);
    if (socket instanceof Socket) void refuse(thrown, socket, connections, observer);
    else socket.destroy();
  });
  server.on('connect', (_request, socket) => {
    socket.on('error', () => socket.destroy());
    if (!(socket instanceof Socket)) return;
    const error = new PerennialError('method_not_allowed', 'CONNECT is not offered: this is an API and no proxy.');
    answerOnSocket(socket, error, true, observer);
  });
}

async function refuse(
  thrown: unknown,
  socket: Socket,
  connections: Connections,
  observer: Observer | null,
): Promise<void> {
  const { code, reason } = faultSchema.parse(thrown);
  const exchanges = connections.underWay(socket);
  const broken = exchanges.find(({ request }) => !request.complete);
  // Responses keep the order of requests: wait for those before it.
  await Promise.all(exchanges.filter((each) => each !== broken).map(ended));
  const error = errorOf(code, reason, broken !== undefined);
  if (error === null || !socket.writable || socket.bytesRead === 0 || broken?.response.headersSent === true) {
    socket.destroy();
    return;
  }
  const hasLeft = code === endedEarly;
  if (broken && !hasLeft) answerExchange(broken, error);
  // A timed-out request could still complete and be executed although it was refused: abort it.
  else answerOnSocket(socket, error, !hasLeft && code !== timedOut, broken ? null : observer);
}

const faultSchema = z
  .object({ code: z.string(), reason: z.string().optional() })
  .catch({ code: 'unknown', reason: undefined });
const endedEarly = 'HPE_INVALID_EOF_STATE';
const timedOut = 'ERR_HTTP_REQUEST_TIMEOUT';

/** The problem for a parser error; null if the connection is gone. */
function errorOf(code: string, reason: string | undefined, isInBody: boolean): PerennialError | null {
  if (code === timedOut) {
    const [slow, part] = isInBody ? (['body_timeout', 'body'] as const) : (['head_timeout', 'head'] as const);
    return new PerennialError(
      slow,
      `The ${part} of the request was not complete in time. Retry on a faster connection.`,
    );
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    const detail = `The address and headers have more than ${maxHeaderSize} bytes. Send shorter or fewer ones.`;
    return new PerennialError('head_too_large', detail);
  }
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    return new PerennialError('too_large', 'The chunk extensions are too long. Send chunks without extensions.');
  }
  if (code === endedEarly) return new PerennialError('bad_request', 'The request ended before it was complete.');
  if (!code.startsWith('HPE_')) return null;
  const detail = `The request is not valid HTTP/1.1: ${reason ?? code}. Check the client and the proxies in between.`;
  return new PerennialError('bad_request', detail);
}

function ended({ response }: Exchange): Promise<void> {
  return new Promise((resolve) => {
    if (response.closed) resolve();
    else response.once('close', () => resolve());
  });
}

/** Answers a request with an invalid body. It is counted and logged with its route like others. */
function answerExchange({ request, response }: Exchange, error: PerennialError): void {
  const context = contextOf(request);
  context.problem = error.code;
  const { status, headers, body } = problemResponse(
    error,
    request.url?.split('?')[0] ?? '/',
    context.requestId,
    context.basePath,
  );
  response.writeHead(status, headers).end(body);
}

/** How long the connection is still read after the answer, so that a sending client can read the answer. */
const lingerMs = 2_000;

function answerOnSocket(socket: Socket, error: PerennialError, mayLinger: boolean, observer: Observer | null): void {
  const requestId = randomUUID();
  const { status, headers, body } = problemResponse(error, '/', requestId);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nX-Request-Id: ${requestId}\r\n${lines.join('')}\r\n${body}`,
  );
  observer?.metrics.countRequest({ method: 'unknown', route: 'malformed', status, seconds: 0 });
  const line = { request_id: requestId, route: 'malformed', status, problem: error.code, reason: error.message };
  observer?.logger.info(line, 'request');
  if (!mayLinger) {
    socket.destroySoon();
    return;
  }
  const cut = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(cut));
  socket.end();
}

function problemResponse(
  error: PerennialError,
  path: string,
  requestId: string,
  basePath?: string,
): { status: number; headers: Record<string, string>; body: string } {
  const format = problemFormatOf(path);
  const body = JSON.stringify(format.render(problemOf(error, path, requestId, basePath)));
  const { status } = errorTable[error.code];
  const headers = {
    Date: new Date().toUTCString(),
    Connection: 'close',
    'Content-Type': format.contentType,
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(status === 405 && { Allow: '' }),
  };
  return { status, headers, body };
}

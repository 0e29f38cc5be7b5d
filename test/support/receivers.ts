import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { text } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';
import { z } from 'zod';

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** The response of a receiver, or `silence` for none. */
export type Answer = { status: number; headers?: Record<string, string>; body?: string } | 'silence';

export interface Receiver {
  url: string;
  received: Received[];
  stop(): Promise<void>;
}

/** A real HTTP server on a free port that stores its requests; `answer` gets each request and its number, from 1. */
export async function startReceiver(
  answer: (request: Received, number: number) => Answer = () => ({ status: 200 }),
): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const one = { path: request.url ?? '', headers: request.headers, body };
      const reply = answer(one, received.push(one));
      if (reply !== 'silence') response.writeHead(reply.status, reply.headers).end(reply.body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${portOf(server.address())}/hook`,
    received,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

export interface MailServer {
  port: number;
  mails: { recipients: string[]; source: string }[];
  /** Addresses that are refused with 550. */
  refused: Set<string>;
  stop(): Promise<void>;
}

/** A real SMTP server that stores the mails it receives. */
export async function startMailServer(port = 0): Promise<MailServer> {
  const mails: MailServer['mails'] = [];
  const refused = new Set<string>();
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    logger: false,
    closeTimeout: 100,
    onRcptTo({ address }, _session, done) {
      done(refused.has(address) ? new Refusal(`there is no ${address}`) : null);
    },
    onData(stream, { envelope }, done) {
      void text(stream).then((source) => {
        mails.push({ recipients: envelope.rcptTo.map(({ address }) => address), source });
        done();
      });
    },
  });
  const server = smtp.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: portOf(server.address()),
    mails,
    refused,
    stop: () => new Promise((resolve) => smtp.close(() => resolve())),
  };
}

class Refusal extends Error {
  readonly responseCode = 550;
}

function portOf(address: unknown): number {
  return z.object({ port: z.number() }).parse(address).port;
}

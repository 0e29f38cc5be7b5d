import { connect, type Socket } from 'node:net';
import { z } from 'zod';
import { createRandom } from '../../../model/seeded-random.js';
import { createAnswerReader } from './answer-reader.js';

/**
 * A process that sends prepared requests and measures, so that the load does not run in the calling process. Raw sockets
 * and prepared bytes: a full HTTP client would take a good part of the cores that the server under test needs.
 */
export const loadOrderSchema = z.object({
  port: z.number().int(),
  /** Files that hold whole requests, head and body. */
  requestFiles: z.array(z.string()),
  durationMs: z.number(),
  /** Closed loop with this many connections, or open loop with this many arrivals a second. */
  load: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('closed'),
      connections: z.number().int(),
      /** Whether clients ignore Retry-After, as many do. */
      hammers: z.boolean().optional(),
    }),
    z.object({ kind: z.literal('open'), perSecond: z.number(), seed: z.number().int() }),
  ]),
});
export type LoadOrder = z.infer<typeof loadOrderSchema>;
type ClosedLoad = Extract<LoadOrder['load'], { kind: 'closed' }>;

export const loadReportSchema = z.object({
  seconds: z.number(),
  /** CPU time of this process, which it took from the server if they share the cores. */
  cpuMs: z.number(),
  /** Answers by status; 0 counts connections that broke. */
  statuses: z.record(z.string(), z.number().int()),
  /** Milliseconds of every answer with status 200, in the order of their arrival: [moment since the start, latency]. */
  answers: z.array(z.tuple([z.number(), z.number()])),
});
export type LoadReport = z.infer<typeof loadReportSchema>;

const mostConnections = 1_024;

process.once('message', (message: unknown) => {
  const order = loadOrderSchema.parse(message);
  void import('node:fs').then(async ({ readFileSync }) => {
    const load = new Load(
      order,
      order.requestFiles.map((path) => readFileSync(path)),
    );
    // With it go the requests that are not answered yet.
    process.send?.(await load.run(), () => process.exit());
  });
});

/** Sends one request after the other over one connection, which is opened again when it breaks. */
class Connection {
  private socket: Socket | null = null;
  private settle: (status: number, retryAfterSeconds: number) => void = () => undefined;

  constructor(private readonly port: number) {}

  send(request: Uint8Array): Promise<{ status: number; retryAfterSeconds: number }> {
    return new Promise((resolve) => {
      this.settle = (status, retryAfterSeconds) => resolve({ status, retryAfterSeconds });
      this.socket ??= this.open();
      this.socket.write(request);
    });
  }

  close(): void {
    this.socket?.destroy();
  }

  private open(): Socket {
    const socket = connect({ port: this.port, host: '127.0.0.1', noDelay: true });
    const read = createAnswerReader(({ status, retryAfterSeconds }) => this.settle(status, retryAfterSeconds));
    socket.on('data', read);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.socket === socket) this.socket = null;
      this.settle(0, 0);
    });
    return socket;
  }
}

class Load {
  private readonly report: LoadReport = { seconds: 0, cpuMs: 0, statuses: {}, answers: [] };
  private readonly startedAt = performance.now();
  private sent = 0;

  constructor(
    private readonly order: LoadOrder,
    private readonly requests: readonly Uint8Array[],
  ) {}

  async run(): Promise<LoadReport> {
    const { load } = this.order;
    const before = process.cpuUsage();
    const work = load.kind === 'closed' ? this.runClosed(load) : this.runOpen(load.perSecond, load.seed);
    // A refusal may be held for seconds: what is not answered at the end does not count, nor does the time until it is.
    await Promise.race([work, this.sleep(this.order.durationMs)]);
    this.report.seconds = (performance.now() - this.startedAt) / 1000;
    const { user, system } = process.cpuUsage(before);
    this.report.cpuMs = (user + system) / 1000;
    return this.report;
  }

  private isOver(): boolean {
    return performance.now() - this.startedAt >= this.order.durationMs;
  }

  private async runClosed({ connections, hammers = false }: ClosedLoad): Promise<void> {
    const follow = async (): Promise<void> => {
      const connection = new Connection(this.order.port);
      while (!this.isOver()) {
        const retryAfterSeconds = await this.ask(connection, performance.now());
        // A client waits for the Retry-After time, but not beyond the end.
        if (retryAfterSeconds > 0 && !hammers) await this.sleep(retryAfterSeconds * 1000);
      }
      connection.close();
    };
    await Promise.all(Array.from({ length: connections }, follow));
  }

  /** Arrivals of a Poisson process; latency counts from the time at which a request should have been sent. */
  private async runOpen(perSecond: number, seed: number): Promise<void> {
    const random = createRandom(seed);
    const idle: Connection[] = [];
    const underWay = new Set<Promise<void>>();
    let dueAt = this.startedAt;
    while (!this.isOver()) {
      dueAt += (-Math.log(1 - random()) * 1000) / perSecond;
      await this.sleep(dueAt - performance.now());
      if (underWay.size >= mostConnections) {
        this.count(0);
        continue;
      }
      const connection = idle.pop() ?? new Connection(this.order.port);
      const asked: Promise<void> = this.ask(connection, dueAt).then(() => {
        idle.push(connection);
        underWay.delete(asked);
      });
      underWay.add(asked);
    }
    await Promise.all(underWay);
    for (const connection of idle) connection.close();
  }

  /** Returns the seconds of Retry-After. */
  private async ask(connection: Connection, dueAt: number): Promise<number> {
    const request = this.requests[this.sent++ % this.requests.length];
    if (request === undefined) throw new Error('there is nothing to send');
    const { status, retryAfterSeconds } = await connection.send(request);
    const now = performance.now();
    this.count(status);
    if (status === 200) this.report.answers.push([now - this.startedAt, now - dueAt]);
    return retryAfterSeconds;
  }

  private count(status: number): void {
    this.report.statuses[status] = (this.report.statuses[status] ?? 0) + 1;
  }

  private sleep(ms: number): Promise<void> {
    const leftMs = this.order.durationMs - (performance.now() - this.startedAt);
    const waitMs = Math.min(ms, leftMs);
    return waitMs < 1 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

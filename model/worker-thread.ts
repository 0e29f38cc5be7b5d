import { parentPort, Worker } from 'node:worker_threads';
import { z } from 'zod';
import {
  errorCodeOf,
  isErrorCode,
  messageOf,
  PerennialError,
  systemFault,
  type ErrorCode,
} from '../contracts/errors.js';

/** A thread of this process that answers questions, several at once. */
export interface WorkerThread<Question, Answer> {
  /**
   * Moves the memory of `transferred` into the thread instead of copying it.
   * @throws PerennialError with the code of the thread's failure; an Error when the thread has ended
   */
  ask(question: Question, transferred?: ArrayBuffer[]): Promise<Answer>;
  /** Questions without an answer yet. */
  waiting(): number;
  hasEnded(): boolean;
  /** Ends the thread when it has answered: native code that it runs cannot be stopped. */
  end(): Promise<void>;
}

const orderSchema = z.object({ id: z.number(), question: z.unknown() }).nullable();
type Order = z.infer<typeof orderSchema>;

const replySchema = z.union([
  z.object({ id: z.number(), answer: z.unknown() }),
  z.object({ id: z.number(), code: z.custom<ErrorCode>(isErrorCode), message: z.string() }),
]);
type Reply = z.infer<typeof replySchema>;

interface Waiting<Answer> {
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
}

/** Starts a thread whose file calls `answerQuestions`. It keeps the process alive only while it has questions. */
export function startThread<Question, Answer>(file: URL, schema: z.ZodType<Answer>): WorkerThread<Question, Answer> {
  const worker = new Worker(file);
  const waiting = new Map<number, Waiting<Answer>>();
  let asked = 0;
  let failure: Error | null = null;
  const fail = (error: Error): void => {
    failure ??= error;
    for (const { reject } of waiting.values()) reject(failure);
    waiting.clear();
  };
  worker.on('error', fail);
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', () => {
      fail(new Error('A worker thread has ended.'));
      resolve();
    });
  });
  worker.on('message', (message) => {
    const reply = replySchema.parse(message);
    const asker = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (waiting.size === 0) worker.unref();
    if ('code' in reply) asker?.reject(new PerennialError(reply.code, reply.message));
    else asker?.resolve(schema.parse(reply.answer));
  });
  worker.unref();
  const send = (order: Order, transferred: ArrayBuffer[] = []): void => worker.postMessage(order, transferred);
  return {
    ask: (question, transferred) =>
      new Promise((resolve, reject) => {
        if (failure !== null) throw failure;
        asked += 1;
        waiting.set(asked, { resolve, reject });
        worker.ref();
        send({ id: asked, question }, transferred);
      }),
    waiting: () => waiting.size,
    hasEnded: () => failure !== null,
    async end() {
      worker.ref();
      send(null);
      await exited;
    },
  };
}

/** In a thread: answers each question as it comes. `end` is called before the thread ends. */
export function answerQuestions<Question>(
  schema: z.ZodType<Question>,
  answer: (question: Question) => Promise<unknown>,
  end: () => Promise<void> = () => Promise.resolve(),
): void {
  const answering = new Set<Promise<void>>();
  const reply = (message: Reply): void => parentPort?.postMessage(message);
  const work = async (id: number, question: unknown): Promise<void> => {
    try {
      reply({ id, answer: await answer(schema.parse(question)) });
    } catch (error) {
      reply({ id, code: errorCodeOf(error), message: messageOf(systemFault(error) ?? error) });
    }
  };
  const close = async (): Promise<void> => {
    await Promise.all(answering);
    await end();
    parentPort?.close();
  };
  parentPort?.on('message', (message) => {
    const order = orderSchema.parse(message);
    if (order === null) return void close();
    const done = work(order.id, order.question).finally(() => answering.delete(done));
    answering.add(done);
  });
}

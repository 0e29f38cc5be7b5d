import { Worker } from 'node:worker_threads';
import { PerennialError, messageOf } from '../../contracts/errors.js';
import { replySchema, type Job, type Reply, type ThreadSetup } from './messages.js';

export type Outcome = Extract<Reply, { type: 'done' }> | { type: 'died'; message: string };

/**
 * One inference thread. There is no way to stop it at once, on purpose: ending a thread inside ONNX Runtime's `run`
 * takes the whole process down.
 */
export interface Thread {
  /**
   * Does some jobs, of which several at once are single images. More may be given meanwhile: those are prepared at once
   * and answered in their order. A thread that is gone answers `died`.
   */
  run(jobs: readonly Job[]): Promise<Outcome>;
  /** Settles, with the reason, when the thread is gone for whatever reason. */
  readonly ended: Promise<string>;
  /** Lets the thread end by itself once its job is done. */
  close(): Promise<void>;
}

/**
 * Starts a thread, loads the model into it and runs it once.
 * @throws PerennialError bundle_invalid when the model cannot be loaded or run
 */
export async function startThread(setup: ThreadSetup): Promise<Thread> {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: setup });
  const { nextReply, ended } = listen(worker);
  const first = await nextReply();
  if (first.type !== 'ready') {
    const reason = first.type === 'done' ? 'it answered before it was asked' : first.message;
    throw new PerennialError('bundle_invalid', `The graph cannot be loaded and run (${reason}). Train a new model.`);
  }
  return {
    ended,
    run: async (jobs) => {
      // Copies: the originals stay whole for another try, and a view never drags along the buffer it looks at.
      // Not by slice: that of a Buffer is a view.
      const copies = jobs.map((job) => ({ ...job, bytes: new Uint8Array(job.bytes) }));
      worker.postMessage(
        copies,
        copies.map(({ bytes }) => bytes.buffer),
      );
      // Not before: nobody may wait for the reply to jobs that could not be handed over, or each reply behind it would
      // go to whoever asked before.
      const outcome = await nextReply();
      return outcome.type === 'ready' ? { type: 'died', message: 'it started twice' } : outcome;
    },
    close: async () => {
      worker.postMessage(null);
      await ended;
    },
  };
}

/** What a reply that makes no sense is taken for: jobs without an outcome. */
const malformed: Reply = { type: 'done', outcomes: [] };

type Message = Reply | { type: 'died'; message: string };

function listen(worker: Worker): { nextReply: () => Promise<Message>; ended: Promise<string> } {
  const waiting: ((message: Message) => void)[] = [];
  let failure: string | null = null;
  let gone: Message | null = null;
  // Thrown in here, an error would end the whole process.
  worker.on('message', (message: unknown) => waiting.shift()?.(replySchema.catch(malformed).parse(message)));
  worker.on('error', (error: unknown) => {
    failure = messageOf(error);
  });
  const ended = new Promise<string>((resolve) => {
    worker.on('exit', (code) => {
      const message = failure ?? `it ended with code ${code}`;
      const died: Message = { type: 'died', message };
      gone = died;
      for (const settle of waiting.splice(0)) settle(died);
      resolve(message);
    });
  });
  const nextReply = (): Promise<Message> =>
    gone === null ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(gone);
  return { nextReply, ended };
}

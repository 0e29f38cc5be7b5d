import { Worker } from 'node:worker_threads';
import { PerennialError, messageOf } from '../../contracts/errors.js';
import { replySchema, type Job, type Reply, type ThreadSetup } from './messages.js';

export type Outcome = Extract<Reply, { type: 'done' }> | { type: 'died'; message: string };

/**
 * One inference thread. It deliberately cannot be stopped at once: terminating a thread inside ONNX Runtime's `run`
 * crashes the whole process.
 */
export interface Thread {
  /**
   * Runs a job, `isAlone` while the other threads have none. More may be dispatched meanwhile: they are answered in
   * order. A thread that has ended answers `died`.
   */
  run(job: Job, isAlone?: boolean): Promise<Outcome>;
  /** Cores that it can use for a job that is alone. */
  readonly cores: number;
  /** Resolves with the reason when the thread has ended. */
  readonly ended: Promise<string>;
  /**
   * Makes the thread load another model once its jobs are done, which saves the start of a new one. Use only what this
   * returns from then on.
   * @throws PerennialError bundle_invalid when the model cannot be loaded or run; the thread has ended then
   */
  reload(setup: ThreadSetup): Promise<Thread>;
  /** Asks the thread to exit once its jobs are done. */
  close(): Promise<void>;
}

/**
 * Starts a thread, loads the model into it and runs it once.
 * @throws PerennialError bundle_invalid when the model cannot be loaded or run
 */
export function startThread(setup: ThreadSetup): Promise<Thread> {
  const worker = new Worker(new URL('./worker.js', import.meta.url));
  return load({ worker, ...listen(worker) }, setup);
}

interface Running {
  worker: Worker;
  nextReply: () => Promise<Message>;
  ended: Promise<string>;
}

async function load(running: Running, setup: ThreadSetup): Promise<Thread> {
  const { worker, nextReply, ended } = running;
  worker.postMessage({ load: setup });
  const first = await nextReply();
  if (first.type !== 'ready') {
    const reason = first.type === 'done' ? 'it answered before the first request' : first.message;
    throw new PerennialError('bundle_invalid', `The graph cannot be loaded and run (${reason}). Train a new model.`);
  }
  return {
    ended,
    cores: setup.loneCores,
    run: async (job, isAlone = false) => {
      // A copy: a transfer detaches its buffer, but a retry needs the original, and a view would transfer its whole
      // buffer. Not by slice: that of a Buffer is a view.
      const bytes = new Uint8Array(job.bytes);
      worker.postMessage({ job: { ...job, bytes }, isAlone }, [bytes.buffer]);
      // Only after postMessage succeeded: otherwise this request would take the reply to the next one, and so on.
      const outcome = await nextReply();
      return outcome.type === 'ready' ? { type: 'died', message: 'it started twice' } : outcome;
    },
    reload: (next) => load(running, next),
    close: async () => {
      worker.postMessage(null);
      await ended;
    },
  };
}

/** An error thrown where replies arrive would end the whole process, so a malformed one is replaced. */
const replyOrFault = replySchema.catch({
  type: 'done',
  outcome: {
    type: 'refused',
    code: 'internal',
    message: 'The inference thread gave no valid reply. Send the request again.',
  },
});

type Message = Reply | { type: 'died'; message: string };

function listen(worker: Worker): Omit<Running, 'worker'> {
  const waiting: ((message: Message) => void)[] = [];
  let failure: string | null = null;
  let gone: Message | null = null;
  worker.on('message', (message: unknown) => waiting.shift()?.(replyOrFault.parse(message)));
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

import type { Job, JobOutcome } from '../../model/serving/messages.js';
import type { Outcome, Thread } from '../../model/serving/thread.js';

export interface ThreadDoubleOptions {
  /** The calls, counted from 1, that kill their thread. */
  deaths: readonly number[];
}

/** Threads that answer every image with the first byte of its job, one event-loop turn later. */
export function createThreadDouble({ deaths }: ThreadDoubleOptions): { start: () => Promise<Thread> } {
  let calls = 0;
  const start = (): Promise<Thread> => {
    let end: (message: string) => void = () => undefined;
    const ended = new Promise<string>((resolve) => (end = resolve));
    const run = async (job: Job): Promise<Outcome> => {
      const dies = deaths.includes((calls += 1));
      await new Promise((resolve) => setImmediate(resolve));
      if (!dies) return { type: 'done', outcome: answerTo(job) };
      end('crash');
      return { type: 'died', message: 'crash' };
    };
    const close = (): Promise<void> => {
      end('closed');
      return Promise.resolve();
    };
    const reload = (): Promise<never> => Promise.reject(new Error('This thread has one model only.'));
    return Promise.resolve({ cores: 1, ended, run, reload, close });
  };
  return { start };
}

function answerTo(job: Job): JobOutcome {
  const images = job.kind === 'pixels' ? job.count : 1;
  const rows = Array.from({ length: images }, () => ({ probabilities: [job.bytes[0] ?? -1], nearest: null }));
  return { type: 'answer', rows, decodeMs: 0, inferMs: 0 };
}

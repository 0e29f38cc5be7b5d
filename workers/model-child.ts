import { errorCodeOf, messageOf } from '../contracts/errors.js';
import { setThreadsPerImage } from '../model/images/decode.js';
import { trainerOrderSchema, type JobEvents, type ModelJob, type TrainerMessage } from '../model/jobs.js';
import { createJobRunner } from '../model/run-job.js';

/**
 * A trainer: a forked process that does one job after another until its parent ends it. A process of its own, because
 * TensorFlow computes on the main thread, can be loaded once a process, and keeps the memory it once took. When its
 * channel closes, nobody waits for it any more: it ends at the next batch.
 */
const runJob = createJobRunner();
const recorded = new Map<number, () => void>();

process.on('disconnect', () => process.exit(1));
process.on('message', (message) => {
  const order = trainerOrderSchema.parse(message);
  if (order.type === 'recorded') {
    recorded.get(order.epoch)?.();
    recorded.delete(order.epoch);
    return;
  }
  work(order.job).catch((error: unknown) => {
    // What cannot even be reported is left for the parent to find: a process that ended early.
    process.stderr.write(`${messageOf(error)}\n`);
    process.exit(1);
  });
});

const events: JobEvents = {
  onProgress: (progress) => void tell(progress),
  onEpoch: async (event) => {
    const isRecorded = new Promise<void>((resolve) => recorded.set(event.metrics.epoch, resolve));
    await tell(event);
    await isRecorded;
  },
};

async function work(job: ModelJob): Promise<void> {
  setThreadsPerImage(1);
  try {
    await tell({ type: 'done', result: await runJob(job, events) });
  } catch (error) {
    await tell({ type: 'failed', code: errorCodeOf(error), message: messageOf(error) });
  }
}

function tell(message: TrainerMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!process.send) throw new Error('A trainer is started by its parent, with a channel between them.');
    process.send(message, undefined, undefined, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

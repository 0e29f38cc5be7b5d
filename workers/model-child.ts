import { errorCodeOf, messageOf, systemFault } from '../contracts/errors.js';
import { validate } from '../platform/validation/validate.js';
import { trainerOrderSchema, type JobEvents, type ModelJob, type TrainerMessage } from '../model/jobs.js';
import { createJobRunner, prepareTraining } from '../model/run-job.js';

/**
 * A trainer: a forked process that runs one job after another until its parent stops it. It is a process, because
 * TensorFlow computes on the main thread, can be loaded only once per process, and never returns memory. When its channel
 * closes, its parent is gone, and it exits at the next batch.
 */
const runJob = createJobRunner();
const recorded = new Map<number, () => void>();

process.on('disconnect', () => process.exit(1));
process.on('message', (message) => {
  const { data: order, faults } = validate(trainerOrderSchema, message, 'the job');
  if (faults !== null) {
    report(
      send({
        type: 'failed',
        code: 'internal',
        message: `The job is not valid. ${faults.map(({ detail }) => detail).join(' ')}`,
      }),
    );
    return;
  }
  if (order.type === 'prepare') {
    // The job that follows meets the same failure and reports it.
    prepareTraining().catch(() => undefined);
    return;
  }
  if (order.type === 'recorded') {
    recorded.get(order.epoch)?.();
    recorded.delete(order.epoch);
    return;
  }
  report(work(order.job));
});

function report(end: Promise<void>): void {
  end.catch((error: unknown) => {
    // Reporting the failure failed too; the parent handles the early exit.
    process.stderr.write(`${messageOf(error)}\n`);
    process.exit(1);
  });
}

/** Each message costs both processes more than the work of counting it is worth. */
const progressEveryMs = 100;
let reportedAt = -Infinity;

const events: JobEvents = {
  onProgress(progress) {
    const now = performance.now();
    if (now - reportedAt < progressEveryMs && progress.done < progress.total) return;
    reportedAt = now;
    report(send(progress));
  },
  onEpoch: async (event) => {
    const isRecorded = new Promise<void>((resolve) => recorded.set(event.metrics.epoch, resolve));
    await send(event);
    await isRecorded;
  },
};

async function work(job: ModelJob): Promise<void> {
  try {
    await send({ type: 'done', result: await runJob(job, events) });
  } catch (error) {
    await send({ type: 'failed', code: errorCodeOf(error), message: messageOf(systemFault(error) ?? error) });
  }
}

function send(message: TrainerMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!process.send) throw new Error('The trainer has no IPC channel. It must be forked by a worker.');
    process.send(message, undefined, undefined, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

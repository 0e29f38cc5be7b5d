import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isErrorCode, PerennialError } from '../../contracts/errors.js';
import {
  parseJobResult,
  trainerMessageSchema,
  type EpochEvent,
  type JobProgress,
  type ModelJob,
  type ModelJobResults,
  type TrainerMessage,
  type TrainerOrder,
} from '../../model/jobs.js';
import { childEnvironment } from '../../platform/config.js';
import type { Logger } from '../../platform/logging.js';

export interface JobOptions {
  /** Kills the trainer when it fires. */
  signal: AbortSignal;
  onProgress?: (progress: JobProgress) => void;
  /** Records an ended epoch; the trainer goes on when this resolves and is killed when it rejects. */
  onEpoch?: (event: EpochEvent) => Promise<void>;
}

export interface ModelProcessOptions extends JobOptions {
  logger: Logger;
}

/** A trainer process, which does jobs one at a time. */
export interface Trainer {
  /**
   * Does a job and gives its result. This process stays free meanwhile.
   * @throws PerennialError trainer_died when the trainer ends early, cancelled when the signal fires, else the trainer's
   * own failure with its code
   */
  run<Job extends ModelJob>(job: Job, options: JobOptions): Promise<ModelJobResults[Job['kind']]>;
  isAlive(): boolean;
  /** Kills the process; resolves when it is gone. */
  stop(): Promise<void>;
}

const trainerPath = fileURLToPath(new URL('../../workers/model-child.js', import.meta.url));

/** Lines of the trainer's standard error that are kept for the message when it dies. */
const keptLines = 5;

/** Does a model job in a trainer process of its own, as `Trainer.run` does. */
export async function runModelJob<Job extends ModelJob>(
  job: Job,
  { logger, ...options }: ModelProcessOptions,
): Promise<ModelJobResults[Job['kind']]> {
  if (options.signal.aborted) throw cancelled(job);
  const trainer = startTrainer(logger);
  try {
    return await trainer.run(job, options);
  } finally {
    // Whoever called may now delete the files that the trainer wrote: it must be gone, not going.
    await trainer.stop();
  }
}

/** Starts a trainer process, which takes a second or two to load TensorFlow. */
export function startTrainer(logger: Logger): Trainer {
  const child = fork(trainerPath, {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    env: childEnvironment({ TF_CPP_MIN_LOG_LEVEL: '2' }),
  });
  // Between two jobs nobody else listens, and an error that nobody hears ends this process.
  child.on('error', (error) => logger.warn({ error, trainer: child.pid }, 'a trainer process has failed'));
  const lastLines = keepLastLines(child, logger);
  const isAlive = (): boolean => child.connected && child.exitCode === null && child.signalCode === null;
  return {
    async run<Job extends ModelJob>(job: Job, options: JobOptions): Promise<ModelJobResults[Job['kind']]> {
      if (options.signal.aborted) throw cancelled(job);
      // It may have ended before it had a job; of one that is gone nothing would be heard any more.
      if (!isAlive()) throw died(job, child.exitCode ?? child.signalCode, lastLines);
      const kill = (): void => void child.kill('SIGKILL');
      options.signal.addEventListener('abort', kill);
      try {
        const result = await converse(child, job, options, lastLines);
        const kind: Job['kind'] = job.kind;
        return parseJobResult(kind, result);
      } finally {
        options.signal.removeEventListener('abort', kill);
      }
    },
    isAlive,
    async stop() {
      if (child.kill('SIGKILL')) await once(child, 'exit');
    },
  };
}

async function converse(
  child: ChildProcess,
  job: ModelJob,
  { signal, onProgress, onEpoch }: JobOptions,
  lastLines: readonly string[],
): Promise<unknown> {
  const ended = new AbortController();
  try {
    return await new Promise((resolve, reject) => {
      const order = (message: TrainerOrder): void => {
        // A trainer that is gone announces itself by 'close'; a failed send says nothing more.
        child.send(message, () => undefined);
      };
      const listen = (event: string, listener: (...heard: unknown[]) => void): void => {
        child.on(event, listener);
        ended.signal.addEventListener('abort', () => child.off(event, listener));
      };
      listen('error', reject);
      listen('close', () => {
        reject(signal.aborted ? cancelled(job) : died(job, child.exitCode ?? child.signalCode, lastLines));
      });
      listen('message', (received) => {
        const parsed = trainerMessageSchema.safeParse(received);
        if (parsed.success) hear(parsed.data);
        else reject(parsed.error);
      });
      const hear = (message: TrainerMessage): void => {
        switch (message.type) {
          case 'progress':
            onProgress?.(message);
            break;
          case 'epoch':
            recordEpoch(message, onEpoch).then(() => order({ type: 'recorded', epoch: message.metrics.epoch }), reject);
            break;
          case 'done':
            resolve(message.result);
            break;
          case 'failed':
            reject(new PerennialError(isErrorCode(message.code) ? message.code : 'internal', message.message));
            break;
        }
      };
      order({ type: 'job', job });
    });
  } finally {
    ended.abort();
  }
}

async function recordEpoch(event: EpochEvent, onEpoch: JobOptions['onEpoch']): Promise<void> {
  await onEpoch?.(event);
}

function keepLastLines(child: ChildProcess, logger: Logger): readonly string[] {
  const lines: string[] = [];
  if (!child.stderr) return lines;
  createInterface({ input: child.stderr }).on('line', (line) => {
    logger.warn({ trainer: child.pid, line }, 'trainer said');
    lines.push(line);
    if (lines.length > keptLines) lines.shift();
  });
  return lines;
}

function cancelled(job: ModelJob): PerennialError {
  return new PerennialError('cancelled', `The ${job.kind} job was cancelled; its trainer process was stopped.`);
}

function died(job: ModelJob, reason: number | string | null, lastLines: readonly string[]): PerennialError {
  const said = lastLines.length > 0 ? ` Its last words: ${lastLines.join(' | ')}` : '';
  return new PerennialError(
    'trainer_died',
    `The trainer process ended (${reason ?? 'unknown reason'}) before its ${job.kind} job was done; it is started again.${said}`,
  );
}

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isErrorCode, PerennialError } from '../../contracts/errors.js';
import { validate } from '../../platform/validation/validate.js';
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
  /** Records a finished epoch. The trainer continues when this resolves and is killed when it rejects. */
  onEpoch?: (event: EpochEvent) => Promise<void>;
}

export interface ModelProcessOptions extends JobOptions {
  logger: Logger;
}

/** A trainer process, which runs jobs one at a time. */
export interface Trainer {
  readonly pid: number | undefined;
  /** Loads TensorFlow, before the first job needs it. */
  prepare(): void;
  /**
   * Runs a job and returns its result, without blocking this process.
   * @throws PerennialError trainer_died when the trainer ends early, cancelled when the signal fires, else the trainer's
   * own failure with its code
   */
  run<Job extends ModelJob>(job: Job, options: JobOptions): Promise<ModelJobResults[Job['kind']]>;
  isAlive(): boolean;
  /** Kills the process; resolves when it has exited. */
  stop(): Promise<void>;
}

const trainerPath = fileURLToPath(new URL('../../workers/model-child.js', import.meta.url));

/** Lines of the trainer's standard error in the error message when it dies. */
const keptLines = 5;

/** Runs a model job in a new trainer process, see `Trainer.run`. */
export async function runModelJob<Job extends ModelJob>(
  job: Job,
  { logger, ...options }: ModelProcessOptions,
): Promise<ModelJobResults[Job['kind']]> {
  if (options.signal.aborted) throw jobCancelled(job);
  return withTrainer(logger, (trainer) => trainer.run(job, options));
}

/** Starts a trainer process, passes it to `work`, and stops it in any case. */
export async function withTrainer<T>(logger: Logger, work: (trainer: Trainer) => Promise<T>): Promise<T> {
  const trainer = startTrainer(logger);
  try {
    return await work(trainer);
  } finally {
    // The caller may delete the trainer's files after this, so wait until the process has exited.
    await trainer.stop();
  }
}

/** Starts a trainer process. */
export function startTrainer(logger: Logger): Trainer {
  const child = fork(trainerPath, {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    env: childEnvironment({ TF_CPP_MIN_LOG_LEVEL: '2' }),
  });
  // Between two jobs there is no other listener, and an unhandled 'error' event would end this process.
  child.on('error', (error) => logger.warn({ error, trainer: child.pid }, 'a trainer process has failed'));
  const lastLines = keepLastLines(child, logger);
  const isAlive = (): boolean => child.connected && child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid,
    prepare: () => send(child, { type: 'prepare' }),
    async run<Job extends ModelJob>(job: Job, options: JobOptions): Promise<ModelJobResults[Job['kind']]> {
      if (options.signal.aborted) throw jobCancelled(job);
      // A trainer that has exited before the job emits no more events.
      if (!isAlive()) throw trainerDied(job, child.exitCode ?? child.signalCode, lastLines);
      const kill = (): void => void child.kill('SIGKILL');
      options.signal.addEventListener('abort', kill);
      try {
        const result = await runJob(child, job, options, lastLines);
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

async function runJob(
  child: ChildProcess,
  job: ModelJob,
  { signal, onProgress, onEpoch }: JobOptions,
  lastLines: readonly string[],
): Promise<unknown> {
  const ended = new AbortController();
  try {
    return await new Promise((resolve, reject) => {
      const listen = (event: string, listener: (...args: unknown[]) => void): void => {
        child.on(event, listener);
        ended.signal.addEventListener('abort', () => child.off(event, listener));
      };
      listen('error', reject);
      listen('close', () => {
        reject(signal.aborted ? jobCancelled(job) : trainerDied(job, child.exitCode ?? child.signalCode, lastLines));
      });
      listen('message', (received) => {
        const { data, faults } = validate(trainerMessageSchema, received, 'the message of the trainer');
        if (faults === null) handle(data);
        else reject(new Error(faults.map(({ detail }) => detail).join(' ')));
      });
      const handle = (message: TrainerMessage): void => {
        switch (message.type) {
          case 'progress':
            onProgress?.(message);
            break;
          case 'epoch':
            recordEpoch(message, onEpoch).then(
              () => send(child, { type: 'recorded', epoch: message.metrics.epoch }),
              reject,
            );
            break;
          case 'done':
            resolve(message.result);
            break;
          case 'failed':
            reject(new PerennialError(isErrorCode(message.code) ? message.code : 'internal', message.message));
            break;
        }
      };
      send(child, { type: 'job', job });
    });
  } finally {
    ended.abort();
  }
}

/** Ignores errors: the end of a trainer is handled where a job waits for it. */
function send(child: ChildProcess, order: TrainerOrder): void {
  child.send(order, () => undefined);
}

async function recordEpoch(event: EpochEvent, onEpoch: JobOptions['onEpoch']): Promise<void> {
  await onEpoch?.(event);
}

function keepLastLines(child: ChildProcess, logger: Logger): readonly string[] {
  const lines: string[] = [];
  if (!child.stderr) return lines;
  createInterface({ input: child.stderr }).on('line', (line) => {
    logger.warn({ trainer: child.pid, line }, 'trainer output');
    lines.push(line);
    if (lines.length > keptLines) lines.shift();
  });
  return lines;
}

function jobCancelled(job: ModelJob): PerennialError {
  return new PerennialError('cancelled', `The ${job.kind} job was cancelled; its trainer process was stopped.`);
}

function trainerDied(job: ModelJob, reason: number | string | null, lastLines: readonly string[]): PerennialError {
  const output = lastLines.length > 0 ? ` Its last output: ${lastLines.join(' | ')}` : '';
  return new PerennialError(
    'trainer_died',
    `The trainer process ended (${reason ?? 'unknown reason'}) before its ${job.kind} job was done.${output}`,
  );
}

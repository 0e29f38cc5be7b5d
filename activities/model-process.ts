import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isErrorCode, PerennialError } from '../contracts/errors.js';
import {
  parseJobResult,
  trainerMessageSchema,
  type EpochEvent,
  type JobProgress,
  type ModelJob,
  type ModelJobResults,
  type TrainerMessage,
  type TrainerOrder,
} from '../model/jobs.js';
import { childEnvironment } from '../platform/config.js';
import type { Logger } from '../platform/logging.js';

export interface ModelProcessOptions {
  /** Kills the trainer when it fires. */
  signal: AbortSignal;
  logger: Logger;
  onProgress?: (progress: JobProgress) => void;
  /** Records an ended epoch; the trainer goes on when this resolves and is killed when it rejects. */
  onEpoch?: (event: EpochEvent) => Promise<void>;
}

const trainerPath = fileURLToPath(new URL('../workers/model-child.js', import.meta.url));

/** Lines of the trainer's standard error that are kept for the message when it dies. */
const keptLines = 5;

/**
 * Does a model job in a trainer process of its own and gives its result. This process stays free meanwhile.
 * @throws PerennialError trainer_died when the trainer ends early, cancelled when the signal fires, else the trainer's
 * own failure with its code
 */
export async function runModelJob<Job extends ModelJob>(
  job: Job,
  options: ModelProcessOptions,
): Promise<ModelJobResults[Job['kind']]> {
  if (options.signal.aborted) throw cancelled(job);
  const child = fork(trainerPath, {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    env: childEnvironment({ TF_CPP_MIN_LOG_LEVEL: '2' }),
  });
  const lastLines = keepLastLines(child, options.logger);
  const kill = (): void => void child.kill('SIGKILL');
  options.signal.addEventListener('abort', kill);
  try {
    const result = await converse(child, job, options, lastLines);
    const kind: Job['kind'] = job.kind;
    return parseJobResult(kind, result);
  } finally {
    options.signal.removeEventListener('abort', kill);
    // Whoever called may now delete the files that the trainer wrote: it must be gone, not going.
    if (child.kill('SIGKILL')) await once(child, 'exit');
  }
}

function converse(
  child: ChildProcess,
  job: ModelJob,
  { signal, onProgress, onEpoch }: ModelProcessOptions,
  lastLines: readonly string[],
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const order = (message: TrainerOrder): void => {
      // A trainer that is gone announces itself by 'close'; a failed send says nothing more.
      child.send(message, () => undefined);
    };
    child.on('error', reject);
    child.on('close', (code, killedBy) => {
      reject(signal.aborted ? cancelled(job) : died(job, code ?? killedBy, lastLines));
    });
    child.on('message', (received) => {
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
}

async function recordEpoch(event: EpochEvent, onEpoch: ModelProcessOptions['onEpoch']): Promise<void> {
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

import type { Logger } from '../../platform/logging.js';
import { startTrainer, type Trainer } from '../runtime/model-process.js';

/** How long an idle trainer is kept for the next job: longer than a workflow takes between two steps. */
const defaultIdleMs = 60_000;

/** Lends trainer processes for one job each. A kept or prepared one saves the job a second or two of loading TensorFlow. */
export interface TrainerPool {
  /**
   * Gives `work` a trainer: the kept one, or a new one, which loads while `work` downloads its files. When `work` succeeds
   * and `isFollowed` is set, the trainer is kept for the next job; otherwise it has exited when this settles.
   */
  lend<T>(work: (trainer: Trainer) => Promise<T>, options: { isFollowed: boolean }): Promise<T>;
  /** Starts a trainer for a job that is about to come, unless there is one. */
  prepare(): void;
  /** Stops the kept trainer, if there is one. An idle trainer is also stopped after a while. */
  close(): Promise<void>;
}

export function createTrainerPool(logger: Logger, idleMs = defaultIdleMs): TrainerPool {
  let kept: Trainer | null = null;
  let lent = 0;
  let idle: NodeJS.Timeout | undefined;
  const release = (): Trainer | null => {
    clearTimeout(idle);
    const trainer = kept;
    kept = null;
    return trainer;
  };
  const close = async (): Promise<void> => {
    await release()?.stop();
  };
  const start = (): Trainer => {
    const trainer = startTrainer(logger);
    trainer.prepare();
    return trainer;
  };
  const keep = (trainer: Trainer): void => {
    kept = trainer;
    idle = setTimeout(() => void close(), idleMs).unref();
  };
  return {
    async lend(work, { isFollowed }) {
      const previous = release();
      const trainer = previous?.isAlive() ? previous : start();
      lent += 1;
      try {
        const result = await work(trainer);
        if (isFollowed && kept === null) keep(trainer);
        else await trainer.stop();
        return result;
      } catch (error) {
        // The caller may delete the trainer's files after this, so wait until the process has exited.
        await trainer.stop();
        throw error;
      } finally {
        lent -= 1;
      }
    },
    prepare() {
      if (lent > 0 || kept?.isAlive()) return;
      release();
      keep(start());
    },
    close,
  };
}

import type { Logger } from '../../platform/logging.js';
import { startTrainer, type Trainer } from '../runtime/model-process.js';

/** How long an idle trainer is kept for the next job: longer than a workflow takes between two steps. */
const defaultIdleMs = 10_000;

/** Lends trainer processes for one job each. Reusing one saves the next job a second or two of loading TensorFlow. */
export interface TrainerPool {
  /**
   * Gives `work` a trainer: the kept one, or a new one, which loads while `work` downloads its files. When `work` succeeds
   * and `isFollowed` is set, the trainer is kept for the next job; otherwise it has exited when this settles.
   */
  lend<T>(work: (trainer: Trainer) => Promise<T>, options: { isFollowed: boolean }): Promise<T>;
  /** Stops the kept trainer, if there is one. An idle trainer is also stopped after a while. */
  close(): Promise<void>;
}

export function createTrainerPool(logger: Logger, idleMs = defaultIdleMs): TrainerPool {
  let kept: Trainer | null = null;
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
  const keep = async (trainer: Trainer): Promise<void> => {
    await close();
    kept = trainer;
    idle = setTimeout(() => void close(), idleMs).unref();
  };
  return {
    async lend(work, { isFollowed }) {
      const previous = release();
      const trainer = previous?.isAlive() ? previous : startTrainer(logger);
      try {
        const result = await work(trainer);
        await (isFollowed ? keep(trainer) : trainer.stop());
        return result;
      } catch (error) {
        // The caller may delete the trainer's files after this, so wait until the process has exited.
        await trainer.stop();
        throw error;
      }
    },
    close,
  };
}

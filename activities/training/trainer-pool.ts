import type { Logger } from '../../platform/logging.js';
import { startTrainer, type Trainer } from '../runtime/model-process.js';

/** How long a trainer waits for the job that follows its last one: longer than a workflow takes between two steps. */
const defaultIdleMs = 10_000;

/** Lends trainer processes, one job each; one that is kept spares the next job a second or two of loading TensorFlow. */
export interface TrainerPool {
  /**
   * Gives `work` a trainer: the one that was kept, or one that loads while `work` brings its files together. When `work`
   * succeeds and says so, the trainer is kept for the next job, else it is gone when this resolves.
   */
  lend<T>(work: (trainer: Trainer) => Promise<T>, options: { isFollowed: boolean }): Promise<T>;
  /** Ends the kept trainer, if there is one; it also ends by itself when it is idle. */
  close(): Promise<void>;
}

export function createTrainerPool(logger: Logger, idleMs = defaultIdleMs): TrainerPool {
  let kept: Trainer | null = null;
  let idle: NodeJS.Timeout | undefined;
  const release = (): Trainer | null => {
    clearTimeout(idle);
    const former = kept;
    kept = null;
    return former;
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
      const former = release();
      const trainer = former?.isAlive() ? former : startTrainer(logger);
      try {
        const result = await work(trainer);
        await (isFollowed ? keep(trainer) : trainer.stop());
        return result;
      } catch (error) {
        // Whoever called may now delete the files that the trainer writes: it must be gone, not going.
        await trainer.stop();
        throw error;
      }
    },
    close,
  };
}

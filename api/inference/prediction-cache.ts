import type { Prediction } from '../../model/serving/engine.js';
import type { ServedModel } from '../model-host/served-model.js';

/** `joined` is the answer to the same picture that was being computed already. */
export const cacheResults = ['hit', 'joined', 'miss'] as const;
export type CacheResult = (typeof cacheResults)[number];

export interface CachedPrediction {
  prediction: Prediction;
  result: CacheResult;
}

/** Answers to pictures that came before, the least recently asked for forgotten first. */
export interface PredictionCache {
  /**
   * What was answered under that key before; else what `compute` gives, which is kept if it succeeds. With `canJoin`,
   * two that ask at once share one computation, and its failure.
   */
  answer(key: string, compute: () => Promise<Prediction>, canJoin: boolean): Promise<CachedPrediction>;
}

/** The key of a picture. Another model, or another form of it, answers anew: nothing has to be emptied. */
export function cacheKey({ version, engine }: ServedModel, imageSha256: string): string {
  return `${version.bundleSha256}:${engine.variant}:${imageSha256}`;
}

/** A cache of that many answers; null for none. */
export function createPredictionCache(items: number): PredictionCache | null {
  return items === 0 ? null : new LeastRecentlyUsed(items);
}

/** A hit costs no time in the model. */
const noPhases = { queueMs: 0, decodeMs: 0, inferMs: 0 };

class LeastRecentlyUsed implements PredictionCache {
  /** In the order in which they were last asked for. */
  private readonly kept = new Map<string, Prediction>();
  private readonly underWay = new Map<string, Promise<Prediction>>();

  constructor(private readonly mostItems: number) {}

  async answer(key: string, compute: () => Promise<Prediction>, canJoin: boolean): Promise<CachedPrediction> {
    const kept = this.kept.get(key);
    if (kept !== undefined) {
      this.keep(key, kept);
      return { prediction: kept, result: 'hit' };
    }
    const underWay = canJoin ? this.underWay.get(key) : undefined;
    if (underWay !== undefined) return { prediction: withoutPhases(await underWay), result: 'joined' };
    const computed = compute();
    if (canJoin) this.underWay.set(key, computed);
    try {
      const prediction = await computed;
      this.keep(key, withoutPhases(prediction));
      return { prediction, result: 'miss' };
    } finally {
      if (this.underWay.get(key) === computed) this.underWay.delete(key);
    }
  }

  private keep(key: string, prediction: Prediction): void {
    this.kept.delete(key);
    this.kept.set(key, prediction);
    if (this.kept.size <= this.mostItems) return;
    const [oldest] = this.kept.keys();
    if (oldest !== undefined) this.kept.delete(oldest);
  }
}

function withoutPhases(prediction: Prediction): Prediction {
  return { ...prediction, phases: noPhases };
}

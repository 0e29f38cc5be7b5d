import type { Prediction } from '../../model/serving/engine.js';
import type { ServedModel } from '../model-host/served-model.js';

/** `joined`: the request shared the running computation for the same image. */
export const cacheResults = ['hit', 'joined', 'miss'] as const;
export type CacheResult = (typeof cacheResults)[number];

export interface CachedPrediction {
  prediction: Prediction;
  result: CacheResult;
}

/** LRU cache of predictions by image. */
export interface PredictionCache {
  /**
   * The cached value, or the result of `compute`, which is cached if it succeeds. With `canJoin`, concurrent requests share
   * one computation and its failure.
   */
  answer(key: string, compute: () => Promise<Prediction>, canJoin: boolean): Promise<CachedPrediction>;
}

/** The cache key of an image. It includes the model and its precision variant, so that no entry needs invalidation. */
export function cacheKey({ version, engine }: ServedModel, imageSha256: string): string {
  return `${version.bundleSha256}:${engine.variant}:${imageSha256}`;
}

/** A cache with this capacity; null for 0. */
export function createPredictionCache(items: number): PredictionCache | null {
  return items === 0 ? null : new LeastRecentlyUsed(items);
}

/** Phases of a cache hit: no time in the model. */
const noPhases = { queueMs: 0, decodeMs: 0, inferMs: 0 };

class LeastRecentlyUsed implements PredictionCache {
  /** Ordered by last use. */
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

import { cacheKey, createPredictionCache, type PredictionCache } from '../../../../api/inference/prediction-cache.js';
import type { Prediction } from '../../../../model/serving/engine.js';
import { fakeEngine, predictionOf, servedOf } from '../../../support/fake-model.js';

const some = { ...predictionOf([0.9, 0.1]), phases: { queueMs: 1, decodeMs: 2, inferMs: 3 } };

function cacheOf(items: number): PredictionCache {
  const cache = createPredictionCache(items);
  if (cache === null) throw new Error('there is no cache');
  return cache;
}

describe('the cache of predictions', () => {
  const gives = (prediction: Prediction) => (): Promise<Prediction> => Promise.resolve(prediction);
  const never = (): Promise<Prediction> => Promise.reject(new Error('this was not to be computed'));

  it('answers a repeated image without computing it, and without its duration', async () => {
    const cache = cacheOf(2);
    expect(await cache.answer('a', gives(some), true)).toEqual({ prediction: some, result: 'miss' });
    const hit = await cache.answer('a', never, true);
    expect(hit).toEqual({ prediction: { ...some, phases: { queueMs: 0, decodeMs: 0, inferMs: 0 } }, result: 'hit' });
  });

  it('evicts the least recently used entry', async () => {
    const cache = cacheOf(2);
    for (const key of ['a', 'b', 'a', 'c']) await cache.answer(key, gives(some), true);
    expect((await cache.answer('a', gives(some), true)).result).toBe('hit');
    expect((await cache.answer('c', gives(some), true)).result).toBe('hit');
    expect((await cache.answer('b', gives(some), true)).result).toBe('miss');
  });

  it('computes once for two concurrent callers, unless one of them must not wait for the other', async () => {
    const cache = cacheOf(2);
    const finish: (() => void)[] = [];
    const compute = (): Promise<Prediction> => new Promise((resolve) => finish.push(() => resolve(some)));
    const answers = [true, true, false].map((canJoin) => cache.answer('a', compute, canJoin));
    expect(finish).toHaveLength(2);
    for (const each of finish) each();
    expect((await Promise.all(answers)).map(({ result }) => result)).toEqual(['miss', 'joined', 'miss']);
  });

  it('does not cache failures', async () => {
    const cache = cacheOf(2);
    await expect(cache.answer('a', never, true)).rejects.toThrow('not to be computed');
    expect((await cache.answer('a', gives(some), true)).result).toBe('miss');
  });

  it('is off when its size is zero', () => {
    expect(createPredictionCache(0)).toBeNull();
  });

  it('distinguishes models and images, but not generations of the same model', () => {
    const [first, second] = [servedOf(fakeEngine(), 1), servedOf(fakeEngine(), 2)];
    const again = { ...first, generation: 9 };
    const quantized = { ...first, engine: Object.assign(fakeEngine(), { variant: 'int8' as const }) };
    const keys = [first, second, quantized].map((served) => cacheKey(served, 'x'));
    expect(new Set([...keys, cacheKey(first, 'y')]).size).toBe(4);
    expect(cacheKey(again, 'x')).toBe(cacheKey(first, 'x'));
  });
});

import { createPredictionCache } from '../../../../api/inference/prediction-cache.js';
import { createPredictor } from '../../../../api/inference/predictor.js';
import { LiveStatsRecorder } from '../../../../api/model-host/live-stats.js';
import { noInputCapture } from '../../../../api/predictions/inputs/input-capture.js';
import { PerennialError, type ErrorCode } from '../../../../contracts/errors.js';
import { fakeEngine, predictionOf, servedOf } from '../../../support/fake-model.js';

describe('the live metrics of a model', () => {
  let failWith: ErrorCode | null;
  let liveStats: LiveStatsRecorder;
  const served = servedOf(
    fakeEngine({
      predictPixels: () => Promise.resolve([predictionOf([0.9, 0.1]), predictionOf([0.2, 0.8])]),
      predictImage: () =>
        failWith ? Promise.reject(new PerennialError(failWith, 'it broke')) : Promise.resolve(predictionOf([0.9, 0.1])),
    }),
  );
  const { generation } = served;
  const predictorOf = (cachedItems = 0): ReturnType<typeof createPredictor> =>
    createPredictor({
      ...{
        host: { current: () => served, retirement: () => null },
        modelName: 'a_model',
        cache: createPredictionCache(cachedItems),
      },
      ...{ predictionLog: { keep: () => 'an id' }, inputCapture: noInputCapture, listeners: [liveStats] },
    });
  const image = new Uint8Array(1);

  beforeEach(() => {
    failWith = null;
    liveStats = new LiveStatsRecorder();
    liveStats.begin({ generation, version: 1 });
  });

  it('count each image that is predicted, and time those that are decoded', async () => {
    await predictorOf().pixels(image, 2, { route: 'v2' });
    const { current } = liveStats.read();
    expect(current).toMatchObject({ predictions: 2, errors: 0, classes: { a: 1, b: 1 }, p95Ms: null });
    expect(current?.confidenceSum).toBeCloseTo(1.7);
    await predictorOf().image(image, { route: 'predict' });
    const { phases } = predictionOf([0.9, 0.1]);
    expect(liveStats.read().current).toMatchObject({ predictions: 3, p95Ms: phases.decodeMs + phases.inferMs });
  });

  it('omit answers from the cache', async () => {
    const predictor = predictorOf(10);
    const request = { route: 'predict' } as const;
    await Promise.all([predictor.image(image, request), predictor.image(image, request)]);
    await predictor.image(image, request);
    expect(liveStats.read().current).toMatchObject({ predictions: 1 });
  });

  it.each([
    ['internal', 1],
    ['overloaded', 0],
    ['undecodable_image', 0],
  ] as const)('count a prediction that fails with %s as %i errors', async (code, errors) => {
    failWith = code;
    await expect(predictorOf().image(image, { route: 'predict' })).rejects.toThrow('broke');
    expect(liveStats.read().current).toMatchObject({ predictions: 0, errors });
  });

  it('omit late answers of another generation', async () => {
    liveStats.begin({ generation: generation + 1, version: 2 });
    await predictorOf().image(image, { route: 'predict' });
    expect(liveStats.read()).toMatchObject({ current: { predictions: 0 }, former: { generation, predictions: 0 } });
  });
});

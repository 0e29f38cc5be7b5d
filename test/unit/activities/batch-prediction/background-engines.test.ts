import {
  createBackgroundEngines,
  type BackgroundEngines,
} from '../../../../activities/batch-prediction/background-engines.js';
import { PerennialError } from '../../../../contracts/errors.js';
import type { ImagePrediction } from '../../../../model/serving/background-messages.js';
import { versionOf } from '../../../support/fake-model.js';

const seen: ImagePrediction = {
  label: 'grass',
  confidence: 0.9,
  probabilities: [0.1, 0.9],
  variant: 'fp32',
  unfamiliar: false,
  distance: null,
};
const died = (): PerennialError => new PerennialError('trainer_died', 'It ended.');
const [deadly, bad, good] = [new Uint8Array([1]), new Uint8Array([2]), new Uint8Array([3])];

describe('engines in the background', () => {
  let started: number;
  let stopped: number;
  let together: number;
  let mostTogether: number;
  let engines: BackgroundEngines;

  beforeEach(() => {
    started = stopped = together = mostTogether = 0;
    engines = createBackgroundEngines({ open, logger: { warn: () => undefined }, idleMs: 20 });
  });
  afterEach(() => engines.stop());

  /** A process that crashes on one image, refuses another, and predicts grass for the rest. */
  const open: Parameters<typeof createBackgroundEngines>[0]['open'] = () => {
    started += 1;
    let alive = true;
    return Promise.resolve({
      pid: started,
      riskCurve: null,
      isAlive: () => alive,
      async predict(bytes) {
        together += 1;
        mostTogether = Math.max(mostTogether, together);
        await new Promise((resolve) => setTimeout(resolve, 5));
        together -= 1;
        if (bytes === deadly) alive = false;
        if (bytes === deadly) throw died();
        if (bytes === bad) throw new PerennialError('undecodable_image', 'It is damaged.');
        return seen;
      },
      stop: () => {
        stopped += 1;
        alive = false;
        return Promise.resolve();
      },
    });
  };

  it('predict one image at a time for all callers, in one process', async () => {
    const version = versionOf(1);
    const work = (): Promise<ImagePrediction[]> =>
      engines.use(version, (engine) => Promise.all([good, good, good].map((bytes) => engine.predict(bytes))));
    expect((await Promise.all([work(), work()])).flat()).toEqual(Array(6).fill(seen));
    expect([mostTogether, started]).toEqual([1, 1]);
  });

  it('refuse an image on which the process crashes twice, and continue with the others', async () => {
    await engines.use(versionOf(1), async (engine) => {
      const outcomes = await Promise.allSettled([good, deadly, bad, good].map((bytes) => engine.predict(bytes)));
      expect(outcomes).toMatchObject([
        { value: seen },
        {
          reason: {
            code: 'undecodable_image',
            message: 'The inference process crashed twice on this image, so it was skipped.',
          },
        },
        { reason: { code: 'undecodable_image', message: 'It is damaged.' } },
        { value: seen },
      ]);
      // One at the start, and one after each crash.
      expect(started).toBe(3);
    });
  });

  it('stop an idle process after a while, and start another when there is work', async () => {
    await engines.use(versionOf(1), (engine) => engine.predict(good));
    while (stopped === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await engines.use(versionOf(1), (engine) => engine.predict(good));
    expect(started).toBe(2);
  });
});

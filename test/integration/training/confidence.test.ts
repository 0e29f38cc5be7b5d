import {
  learn,
  mean,
  pooledError,
  preparePictures,
  selectiveRisk,
  type Learnt,
} from '../../support/confidence-fixture.js';
import { drawForeignPictures } from '../../support/foreign-pictures.js';
import { listPhotographs, testOnPhotographs, withFolder } from '../../support/training-fixtures.js';

const seeds = [0, 1, 2, 3, 4, 5];
/** Pictures that have nothing in common with a photograph of plants. Random pixels have: to the backbone they are a lawn. */
const foreign = ['pages of text', 'drawings of shapes', 'stripes', 'colour gradients', 'one colour'];

describe('the confidence of a classifier of photographs', () => {
  testOnPhotographs(
    'is no further from the truth for its calibration, lowers the risk, and knows what is foreign',
    () =>
      withFolder(async (folder) => {
        const drawn = await drawForeignPictures(folder, foreign);
        const pictures = await preparePictures(folder, await listPhotographs(150), drawn);
        const careful: Learnt[] = [];
        const rash: Learnt[] = [];
        for (const seed of seeds) {
          careful.push(await learn(pictures, seed));
          // A classifier trained for long at a high rate is overconfident.
          rash.push(await learn(pictures, seed, { learningRate: 0.05, earlyStoppingPatience: 40, weightDecay: 0 }));
        }
        const asBuilt = ({ calibration }: Learnt): number => calibration.temperature;
        const unscaled = (): number => 1;
        expect(pooledError(careful, asBuilt)).toBeLessThan(pooledError(careful, unscaled) + 0.005);
        expect(pooledError(rash, asBuilt)).toBeLessThan(pooledError(rash, unscaled));

        const always = selectiveRisk(careful, 1);
        const often = selectiveRisk(careful, 0.02);
        expect(always.coverage).toBe(1);
        expect(often.coverage).toBeGreaterThan(0.7);
        expect(often.risk).toBeLessThan(always.risk);

        expect(mean(careful.map(({ outOfDistribution }) => outOfDistribution.photographs))).toBeLessThan(0.06);
        const shareOf = (kind: string): number =>
          mean(careful.map(({ outOfDistribution }) => outOfDistribution.others.get(kind) ?? 0));
        expect(foreign.filter((kind) => shareOf(kind) < 0.9)).toEqual([]);
      }),
  );
});

import fc from 'fast-check';
import { hyperparametersSchema } from '../../../../contracts/training/training.js';
import { searchBudgetSchema, searchSpaceSchema, type SearchSpace } from '../../../../contracts/experiments/tuning.js';
import {
  bestOf,
  brackets,
  rungs,
  sampleTrials,
  survivors,
  type TrialScore,
} from '../../../../domain/experiments/successive-halving.js';

const budget = searchBudgetSchema.parse({});
const wide = searchSpaceSchema.parse({
  architecture: ['efficientnet-lite0', 'cnn'],
  filters: [
    [4, 8, 16],
    [16, 32, 64],
  ],
  fineTuneBlocks: [0, 1],
});

function space(changed: Partial<SearchSpace>): SearchSpace {
  return { ...wide, ...changed };
}

describe('sampleTrials', () => {
  it('draws valid hyperparameters within the space', () => {
    for (const { hyperparameters } of sampleTrials(wide, 300, budget)) {
      expect(hyperparametersSchema.parse(hyperparameters)).toEqual(hyperparameters);
      expect(hyperparameters.learningRate).toBeGreaterThanOrEqual(wide.learningRate.min);
      expect(hyperparameters.learningRate).toBeLessThanOrEqual(wide.learningRate.max);
      expect(wide.batchSize).toContain(hyperparameters.batchSize);
      expect(hyperparameters.epochs).toBe(budget.maxEpochs);
    }
  });

  it('is repeatable with the same seed only', () => {
    expect(sampleTrials(wide, 20, budget)).toEqual(sampleTrials(wide, 20, budget));
    expect(sampleTrials(wide, 20, { ...budget, seed: 1 })).not.toEqual(sampleTrials(wide, 20, budget));
  });

  it('begins a longer search with the trials of a shorter one', () => {
    expect(sampleTrials(wide, 50, budget).slice(0, 20)).toEqual(sampleTrials(wide, 20, budget));
  });

  it('tries learning rates as often below the geometric mean of the bounds as above it', () => {
    const rates = sampleTrials(wide, 500, budget).map(({ hyperparameters }) => hyperparameters.learningRate);
    const below = rates.filter((rate) => rate < Math.sqrt(wide.learningRate.min * wide.learningRate.max)).length;
    expect(below).toBeGreaterThan(200);
    expect(below).toBeLessThan(300);
  });

  it('draws nothing twice, and no more than the space holds', () => {
    const fixed = { min: 0.01, max: 0.01 };
    const small = space({ architecture: ['efficientnet-lite0'], learningRate: fixed, weightDecay: fixed });
    const trials = sampleTrials(small, 500, budget);
    // Two of fine-tuning, three batch sizes, two of class weights; filters mean nothing to this architecture.
    expect(trials).toHaveLength(12);
    expect(trials.map(({ number }) => number)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    expect(new Set(trials.map(({ hyperparameters }) => JSON.stringify(hyperparameters))).size).toBe(12);
  });

  it('chooses each dimension independently', () => {
    const trials = sampleTrials(wide, 400, budget).map(({ hyperparameters }) => hyperparameters);
    const share = (of: typeof trials): number => of.filter(({ classWeights }) => classWeights).length / of.length;
    for (const size of wide.batchSize) {
      const weighted = share(trials.filter(({ batchSize }) => batchSize === size));
      expect(weighted).toBeGreaterThan(0.35);
      expect(weighted).toBeLessThan(0.65);
    }
    expect(trials.some(({ architecture, filters }) => architecture === 'cnn' && filters[0] === 4)).toBe(true);
    expect(trials.some(({ architecture, fineTuneBlocks }) => architecture === 'cnn' && fineTuneBlocks > 0)).toBe(false);
  });
});

describe('rungs', () => {
  it('cuts fifty trials to a third at each rung, the last one with all epochs', () => {
    expect(rungs(50, 3, 3, 40)).toEqual([
      { number: 1, epochs: 4, trials: 50 },
      { number: 2, epochs: 13, trials: 17 },
      { number: 3, epochs: 40, trials: 6 },
    ]);
  });

  it('decides between few trials at few rungs', () => {
    expect(rungs(1, 3, 1, 27)).toEqual([{ number: 1, epochs: 27, trials: 1 }]);
    expect(rungs(3, 3, 1, 27).map(({ epochs, trials }) => [epochs, trials])).toEqual([
      [9, 3],
      [27, 1],
    ]);
  });

  it('stays within the bounds and ends with all epochs, whatever they are', () => {
    const whole = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
    fc.assert(
      fc.property(whole(1, 500), whole(2, 10), whole(1, 100), whole(0, 900), (trials, eta, minEpochs, more) => {
        const found = rungs(trials, eta, minEpochs, minEpochs + more);
        expect(found[0]?.trials).toBe(trials);
        expect(found.at(-1)?.epochs).toBe(minEpochs + more);
        for (const [index, rung] of found.entries()) {
          const next = found[index + 1];
          expect(rung.epochs).toBeGreaterThanOrEqual(minEpochs);
          expect(rung.trials).toBeGreaterThanOrEqual(1);
          if (!next) continue;
          expect(next.epochs).toBeGreaterThan(rung.epochs);
          expect(next.trials).toBeLessThan(rung.trials);
        }
      }),
    );
  });
});

describe('survivors', () => {
  const standings: TrialScore[] = [
    { trial: 1, loss: 0.4 },
    { trial: 2, loss: null },
    { trial: 3, loss: 0.2 },
    { trial: 4, loss: 0.4 },
    { trial: 5, loss: NaN },
  ];

  it('are the third with the lowest loss; of equal ones the earlier', () => {
    expect(survivors(standings, 3)).toEqual([3, 1]);
    expect(survivors([...standings].reverse(), 3)).toEqual([3, 1]);
  });

  it('are never trials that failed', () => {
    expect(survivors([{ trial: 1, loss: null }], 3)).toEqual([]);
    expect(survivors([...standings.slice(0, 2), { trial: 6, loss: null }], 2)).toEqual([1]);
  });
});

describe('bestOf', () => {
  it('is the lowest loss of those that got furthest', () => {
    const [first, second] = rungs(9, 3, 1, 9);
    if (!first || !second) throw new Error('there are three rungs');
    const reached = [
      { trial: 1, rung: first, loss: 0.1 },
      { trial: 2, rung: second, loss: 0.4 },
      { trial: 4, rung: second, loss: 0.3 },
      { trial: 3, rung: second, loss: 0.3 },
    ];
    expect(bestOf(reached)).toBe(3);
    expect(bestOf(reached.slice(0, 1))).toBe(1);
    expect(bestOf([])).toBeNull();
  });
});

describe('brackets', () => {
  it('are one by count, and small ones by time', () => {
    const trials = sampleTrials(wide, 20, budget);
    expect(brackets(trials, budget)).toEqual([trials]);
    const byTime = brackets(trials, { ...budget, minutes: 1 });
    expect(byTime.map((race) => race.length)).toEqual([9, 9, 2]);
    expect(byTime.flat()).toEqual(trials);
  });
});

describe('a search space', () => {
  it('has defaults, and reports where it is invalid', () => {
    expect(searchSpaceSchema.parse({}).architecture).toEqual(['efficientnet-lite0']);
    const wrong = searchSpaceSchema.safeParse({
      learningRate: { min: 0.1, max: 0.01 },
      batchSize: [],
      architecture: ['resnet'],
      dropout: [0.5],
    });
    const paths = wrong.error?.issues.map(({ path }) => path.join('/')) ?? [];
    expect(paths).toEqual(expect.arrayContaining(['architecture/0', 'learningRate/min', 'batchSize', '']));
    expect(searchBudgetSchema.safeParse({ trials: 0 }).success).toBe(false);
    expect(searchBudgetSchema.safeParse({ minEpochs: 9, maxEpochs: 3 }).success).toBe(false);
  });
});

import fc from 'fast-check';
import { combineSeeds, createRandom, shuffledIndices } from '../../../model/seeded-random.js';

describe('seeded randomness', () => {
  it('stays in [0, 1) and repeats for the same seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (seed) => {
        const [one, two] = [createRandom(seed), createRandom(seed)];
        for (let draw = 0; draw < 20; draw++) {
          const value = one();
          expect(value).toBe(two());
          expect(value >= 0 && value < 1).toBe(true);
        }
      }),
    );
  });

  it('puts every index once into an order', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(), (count, seed) => {
        const order = shuffledIndices(count, seed);
        expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, index) => index));
      }),
    );
  });

  it('orders differently for different seeds', () => {
    const orders = Array.from({ length: 50 }, (_, epoch) => shuffledIndices(50, combineSeeds(42, epoch)).join());
    expect(new Set(orders).size).toBe(50);
  });

  it('keeps combined seeds apart, whatever their order', () => {
    const seeds: number[] = [];
    for (let epoch = 0; epoch < 60; epoch++) {
      for (let row = 0; row < 60; row++) seeds.push(combineSeeds(42, epoch, row));
    }
    expect(new Set(seeds).size).toBe(3600);
  });
});

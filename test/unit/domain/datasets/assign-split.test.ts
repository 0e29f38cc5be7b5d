import fc from 'fast-check';
import { splits, type Example, type Split } from '../../../../contracts/datasets/datasets.js';
import { assignSplit } from '../../../../domain/datasets/assign-split.js';

const shares = { train: 0.7, validation: 0.15, test: 0.15 };

const arrivals = fc.uniqueArray(
  fc.record({ sha256: fc.stringMatching(/^[0-9a-f]{8}$/), label: fc.constantFrom('daisy', 'grass', 'moss') }),
  { selector: ({ sha256 }) => sha256, maxLength: 200 },
);

function countsOf(examples: readonly Example[], label: string): Record<Split, number> {
  const counts = { train: 0, validation: 0, test: 0 };
  for (const example of examples) if (example.label === label) counts[example.side] += 1;
  return counts;
}

function expectBalanced(examples: readonly Example[]): void {
  for (const label of new Set(examples.map((example) => example.label))) {
    const counts = countsOf(examples, label);
    const total = counts.train + counts.validation + counts.test;
    for (const side of splits) {
      expect(Math.abs(counts[side] - shares[side] * total)).toBeLessThan(2);
      if (total >= 3) expect(counts[side]).toBeGreaterThan(0);
    }
  }
}

describe('assignSplit', () => {
  it('gives each image one split, keeps every class within two images of 70/15/15, and fills every split', () => {
    fc.assert(
      fc.property(arrivals, (images) => {
        const examples = assignSplit([], images);
        expect(new Set(examples.map(({ sha256 }) => sha256)).size).toBe(images.length);
        expectBalanced(examples);
      }),
    );
  });

  it('depends on the images alone, not on their order', () => {
    const twice = arrivals.chain((images) =>
      fc.tuple(fc.constant(images), fc.shuffledSubarray(images, { minLength: images.length })),
    );
    fc.assert(
      fc.property(twice, ([images, shuffled]) => {
        expect(assignSplit([], shuffled)).toEqual(assignSplit([], images));
      }),
    );
  });

  it('stays balanced, and moves nothing, when a dataset grows bit by bit', () => {
    fc.assert(
      fc.property(
        arrivals,
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
        (images, steps) => {
          const rest = [...images];
          let settled: Example[] = [];
          for (const step of [...steps, images.length]) {
            const grown = [...settled, ...assignSplit(settled, rest.splice(0, step))];
            expect(grown.slice(0, settled.length)).toEqual(settled);
            settled = grown;
            expectBalanced(settled);
          }
        },
      ),
    );
  });

  it('fills an empty split before it balances', () => {
    const settled = ['a', 'b', 'c', 'd'].map((sha256): Example => ({ sha256, label: 'moss', side: 'train' }));
    const added = assignSplit(settled, [
      { sha256: 'f', label: 'moss' },
      { sha256: 'e', label: 'moss' },
    ]);
    expect(added).toEqual([
      { sha256: 'e', label: 'moss', side: 'validation' },
      { sha256: 'f', label: 'moss', side: 'test' },
    ]);
  });

  it('splits 100 images of a class into 70, 15 and 15', () => {
    const images = Array.from({ length: 100 }, (_, index) => ({
      sha256: String(index).padStart(3, '0'),
      label: 'moss',
    }));
    expect(countsOf(assignSplit([], images), 'moss')).toEqual({ train: 70, validation: 15, test: 15 });
  });
});

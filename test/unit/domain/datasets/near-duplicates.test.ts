import type { Example } from '../../../../contracts/datasets/datasets.js';
import { findNearDuplicates } from '../../../../domain/datasets/near-duplicates.js';

function example(sha256: string, label = 'a'): Example {
  return { sha256, label, side: 'train' };
}

function hashes(...values: readonly bigint[]): Map<string, string> {
  return new Map(values.map((value, at) => [`image ${at}`, value.toString(16).padStart(16, '0')]));
}

const hash = 0xa5c3_0f1e_9678_d2b4n;

describe('near-duplicates', () => {
  it('are pairs of images whose hashes differ in five bits at most, with labels and splits', () => {
    const near = hash ^ 0x0101_0100_0020_8000n;
    const far = hash ^ 0x0103_0100_0020_8000n;
    const examples = [example('image 0'), example('image 1', 'b'), example('image 2')];
    expect(findNearDuplicates(examples, hashes(hash, near, ~far & 0xffff_ffff_ffff_ffffn))).toEqual({
      pairs: 1,
      examples: [{ images: ['image 0', 'image 1'], labels: ['a', 'b'], sides: ['train', 'train'], differingBits: 5 }],
    });
    expect(findNearDuplicates(examples.slice(0, 2), hashes(hash, far)).pairs).toBe(0);
  });

  it('are not looked for among plain surfaces and images without a hash', () => {
    const examples = [0, 1, 2, 3].map((at) => example(`image ${at}`));
    expect(findNearDuplicates(examples, hashes(0n, 0n, 0xffff_ffff_ffff_ffffn)).pairs).toBe(0);
    expect(findNearDuplicates(examples, new Map()).pairs).toBe(0);
  });

  it('are counted up to a thousand pairs, of which the first twenty are shown', () => {
    const examples = Array.from({ length: 3000 }, (_, at) => example(`image ${at}`));
    const found = findNearDuplicates(examples, hashes(...examples.map(() => hash)));
    expect(found.pairs).toBe(1000);
    expect(found.examples).toHaveLength(20);
  });
});

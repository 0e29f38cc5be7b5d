import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Weights } from '../../../../model/architectures/network.js';
import {
  readCheckpoint,
  weightsDigest,
  writeCheckpoint,
  type Checkpoint,
} from '../../../../model/training/checkpoint.js';
import { withFolder } from '../../../support/training-fixtures.js';

function weights(first: number): Weights {
  return new Map([
    ['a/kernel', { shape: [2, 2], values: Float32Array.of(first, 0.1, -0, 1e-40) }],
    ['a/bias', { shape: [1], values: Float32Array.of(first / 3) }],
  ]);
}

const checkpoint: Checkpoint = {
  fingerprint: 'of this training',
  epoch: 3,
  isFinished: false,
  bestEpoch: 2,
  bestLoss: 0.12345678901234567,
  weights: weights(1),
  bestWeights: weights(2),
  adam: { step: 28, means: weights(3), variances: weights(4) },
};

describe('a checkpoint', () => {
  it('gives back the whole state, to the last bit, and leaves no half-written file', () =>
    withFolder(async (folder) => {
      await writeCheckpoint(join(folder, 'a.ckpt'), checkpoint);
      expect(await readCheckpoint(join(folder, 'a.ckpt'))).toEqual(checkpoint);
      expect(await readdir(folder)).toEqual(['a.ckpt']);
    }));

  it('is refused when one byte of it has changed, wherever that is', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'a.ckpt');
      await writeCheckpoint(path, checkpoint);
      const bytes = await readFile(path);
      for (const at of [0, 18, 200, bytes.length - 40, bytes.length - 1]) {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ 4;
        await writeFile(path, damaged);
        await expect(readCheckpoint(path)).rejects.toMatchObject({ code: 'checkpoint_invalid' });
      }
    }));

  it.each([0, 10, 100])('is refused when it is cut short after %i bytes', (length) =>
    withFolder(async (folder) => {
      const path = join(folder, 'a.ckpt');
      await writeCheckpoint(path, checkpoint);
      await truncate(path, length);
      await expect(readCheckpoint(path)).rejects.toMatchObject({ code: 'checkpoint_invalid' });
    }),
  );
});

describe('the digest of weights', () => {
  it('depends on names, shapes and numbers, and not on the order of the tensors', () => {
    const reversed = new Map([...weights(1)].reverse());
    const reshaped = new Map(
      [...weights(1)].map(([name, { shape, values }]) => [name, { shape: [...shape, 1], values }]),
    );
    const renamed = new Map([...weights(1)].map(([name, tensor]) => [`${name}2`, tensor]));
    expect(weightsDigest(reversed)).toBe(weightsDigest(weights(1)));
    expect(new Set([weights(1), weights(2), reshaped, renamed].map(weightsDigest)).size).toBe(4);
  });
});

import { readFile } from 'node:fs/promises';
import { loadBackbone, verifyWeights } from '../../../../model/architectures/backbone.js';
import { backboneDigest, backboneFeatures } from '../../../../model/architectures/backbone-digest.js';
import { decodeHalf } from '../../../../model/architectures/half-precision.js';
import { weightsFile } from '../../../../model/architectures/weights-folder.js';
import { decodePixels } from '../../../../model/images/decode.js';
import { drawSyntheticImage } from '../../../../model/images/synthetic.js';
import { tf } from '../../../../model/tensorflow.js';
import { tfjsFeatures } from '../../../support/tfjs-features.js';
import { sha256Of } from '../../../support/training-fixtures.js';

describe('the backbone', () => {
  it('has the weights that were published', async () => {
    expect(sha256Of(await readFile(weightsFile('efficientnet-lite0.f16.bin')))).toBe(backboneDigest);
  });

  it('refuses weights with one flipped bit', async () => {
    const bytes = await readFile(weightsFile('efficientnet-lite0.f16.bin'));
    bytes[1_000_000] = (bytes[1_000_000] ?? 0) ^ 1;
    expect(() => {
      verifyWeights(bytes);
    }).toThrow('damaged or replaced');
  });

  it('has 16 blocks, of which 9 add their input to their output', async () => {
    const { operations, blockStarts } = await loadBackbone();
    expect(blockStarts).toHaveLength(16);
    expect(operations.filter(({ kind }) => kind === 'add')).toHaveLength(9);
  });

  it('gives the same embedding for an image alone and among others, and leaves no tensor behind', async () => {
    const before = tf.memory().numTensors;
    const limits = { maxPixels: 1e8, maxBytes: 1e8, minSide: 1 };
    const images = await Promise.all(
      [0, 1].map(async (index) => decodePixels(await drawSyntheticImage('dandelion', index), limits)),
    );
    const together = await tfjsFeatures(Buffer.concat(images), 2);
    const alone = await tfjsFeatures(images[1] ?? new Uint8Array(), 1);
    expect(together).toHaveLength(2 * backboneFeatures);
    alone.forEach((value, index) => {
      expect(value).toBeCloseTo(together[backboneFeatures + index] ?? NaN, 4);
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('half precision', () => {
  it('is decoded exactly: normal, subnormal, signed, infinite and NaN', () => {
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x3555, 0x0001, 0x8000, 0x7bff, 0x7c00, 0xfc00);
    const numbers = [1, -2, 0.333251953125, 2 ** -24, -0, 65504, Infinity, -Infinity];
    expect([...decodeHalf(new Uint8Array(halves.buffer))]).toEqual(numbers);
    expect(decodeHalf(Uint8Array.of(0x01, 0x7e))[0]).toBeNaN();
  });
});

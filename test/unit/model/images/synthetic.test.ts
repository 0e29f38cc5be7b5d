import { decodePixels } from '../../../../model/images/decode.js';
import { inspectImage } from '../../../../model/images/inspect.js';
import { drawSyntheticImage, syntheticLabels } from '../../../../model/images/synthetic.js';
import { limits } from './test-images.js';

describe('drawSyntheticImage', () => {
  it('gives the same file for the same label and index, and another one for any other', async () => {
    const first = await drawSyntheticImage('dandelion', 3);
    expect(first.equals(await drawSyntheticImage('dandelion', 3))).toBe(true);
    const files = new Set<string>();
    for (const label of syntheticLabels) {
      for (let index = 0; index < 10; index += 1)
        files.add((await drawSyntheticImage(label, index)).toString('latin1'));
    }
    expect(files.size).toBe(20);
  });

  it('draws good JPEGs of varied sizes between 64 and 256 pixels', async () => {
    const sizes = new Set<string>();
    for (let index = 0; index < 10; index += 1) {
      const inspection = await inspectImage(await drawSyntheticImage('grass', index), limits);
      if (!inspection.ok) throw new Error(inspection.detail);
      const { format, width, height } = inspection.facts;
      expect(format).toBe('jpeg');
      expect(Math.min(width, height)).toBeGreaterThanOrEqual(64);
      expect(Math.max(width, height)).toBeLessThanOrEqual(256);
      sizes.add(`${width}×${height}`);
    }
    expect(sizes.size).toBeGreaterThan(5);
  });

  it('puts clearly more yellow into flowers than into grass', async () => {
    const yellow = async (label: 'dandelion' | 'grass'): Promise<number> => {
      let count = 0;
      for (let index = 0; index < 10; index += 1) {
        const pixels = await decodePixels(await drawSyntheticImage(label, index), limits);
        for (let at = 0; at < pixels.length; at += 3) {
          const [red = 0, green = 0, blue = 0] = pixels.subarray(at, at + 3);
          if (red > 1.15 * green && green > 1.3 * blue) count += 1;
        }
      }
      return count;
    };
    expect(await yellow('dandelion')).toBeGreaterThan(10 * (await yellow('grass')));
  });
});

import { maxPathBytes, shortenPath } from '../../../../domain/datasets/shorten-path.js';

describe('shortenPath', () => {
  it('returns a short path unchanged', () => {
    for (const path of ['', 'grass/a.jpg', 'x'.repeat(maxPathBytes), 'ü'.repeat(maxPathBytes / 2)]) {
      expect(shortenPath(path)).toBe(path);
    }
  });

  it('keeps the beginning of a long path, whole characters only, within the limit', () => {
    for (const character of ['x', 'ü', '写', '🌼']) {
      for (const offset of ['', '.', '..', '...']) {
        const path = offset + character.repeat(2_000);
        const short = shortenPath(path);
        expect(Buffer.byteLength(short)).toBeLessThanOrEqual(maxPathBytes);
        expect(Buffer.byteLength(short)).toBeGreaterThan(maxPathBytes - 4);
        const [beginning = '', digest] = short.split('…');
        expect(path.startsWith(beginning)).toBe(true);
        expect(digest).toMatch(/^[0-9a-f]{16}$/);
      }
    }
  });

  it('keeps long paths distinct that differ only at their end', () => {
    const folder = 'deep/'.repeat(400);
    expect(shortenPath(`${folder}a.jpg`)).not.toBe(shortenPath(`${folder}b.jpg`));
  });
});

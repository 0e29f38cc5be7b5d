import { GrowingBuffer } from '../../../../../api/http/body/growing-buffer.js';

describe('the buffer of a body', () => {
  function filled(declared: number | null, pieces: readonly Uint8Array[]): { body: Buffer; held: number[] } {
    const held: number[] = [];
    const buffer = new GrowingBuffer(declared, (bytes) => held.push(bytes));
    for (const piece of pieces) buffer.add(piece);
    return { body: buffer.whole(), held };
  }

  it('keeps the order of its pieces while it grows', () => {
    const pieces = Array.from({ length: 2_000 }, (_, index) => Buffer.from(`${index},`.repeat(10)));
    for (const declared of [null, Buffer.concat(pieces).length, 10, 1_000_000]) {
      const { body } = filled(declared, pieces);
      expect(body.equals(Buffer.concat(pieces))).toBe(true);
      expect(body.byteOffset).toBe(0);
    }
  });

  it('is charged for what has come, not for what was declared', () => {
    expect(filled(64_000_000, []).held).toEqual([]);
    expect(filled(64_000_000, [Buffer.alloc(1), Buffer.alloc(9)]).held).toEqual([1, 10]);
  });

  it('allocates a short declared length exactly, and believes a large one only as it arrives', () => {
    expect(filled(12_345, [Buffer.alloc(5)]).body.buffer.byteLength).toBe(12_345);
    expect(filled(64_000_000, [Buffer.alloc(5)]).body.buffer.byteLength).toBeLessThan(20_000);
    const grown = filled(
      1_000_000,
      Array.from({ length: 100 }, () => Buffer.alloc(10_000)),
    ).body;
    expect(grown.buffer.byteLength).toBe(1_000_000);
  });

  it('stops when what it needs is not given', () => {
    const buffer = new GrowingBuffer(null, (bytes) => {
      if (bytes > 100_000) throw new Error('no memory');
    });
    buffer.add(Buffer.alloc(50_000));
    expect(() => buffer.add(Buffer.alloc(60_000))).toThrow('no memory');
    expect(buffer.whole()).toHaveLength(50_000);
  });
});

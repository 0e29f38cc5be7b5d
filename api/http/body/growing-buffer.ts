/** The first buffer, unless a smaller length is declared: a length is believed only as its bytes arrive. */
const firstBytes = 16_384;

/**
 * The bytes of a body, copied into one buffer that doubles as it fills: the pieces, of which each takes a hundred bytes
 * and keeps its network buffer, are free at once. Nothing is allocated before the first piece.
 */
export class GrowingBuffer {
  #buffer = Buffer.from(new ArrayBuffer(0));
  #bytes = 0;

  /** `declaredBytes` is null if unknown. `hold` gets the bytes so far with each piece, and throws to refuse it. */
  constructor(
    private readonly declaredBytes: number | null,
    private readonly hold: (bytes: number) => void,
  ) {}

  get bytes(): number {
    return this.#bytes;
  }

  add(piece: Uint8Array): void {
    const needed = this.#bytes + piece.length;
    this.hold(needed);
    if (needed > this.#buffer.length) this.#grow(needed);
    this.#buffer.set(piece, this.#bytes);
    this.#bytes = needed;
  }

  /** The bytes so far, without a copy; they have their own ArrayBuffer. */
  whole(): Buffer<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#bytes);
  }

  #grow(needed: number): void {
    const size = Math.max(
      needed,
      Math.min(this.declaredBytes ?? Infinity, Math.max(firstBytes, 2 * this.#buffer.length)),
    );
    const grown = Buffer.from(new ArrayBuffer(size));
    grown.set(this.#buffer.subarray(0, this.#bytes));
    this.#buffer = grown;
  }
}

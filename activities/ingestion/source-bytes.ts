import type { QuarantineReason } from '../../contracts/datasets/datasets.js';

/** A complete file of a source, or why it cannot be read. */
export type SourceBytes = { bytes: Uint8Array } | { reason: QuarantineReason; detail: string };

export function tooLarge(sizeBytes: number, maxBytes: number): Exclude<SourceBytes, { bytes: Uint8Array }> {
  return { reason: 'too_many_bytes', detail: `The file has ${sizeBytes} bytes; at most ${maxBytes} are accepted.` };
}

/** Reads a stream to its end; null if it has more than `maxBytes`, of which no more is kept. */
export async function readWithin(stream: AsyncIterable<unknown>, maxBytes: number): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array)) continue;
    size += chunk.byteLength;
    if (size > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

import { readFile } from 'node:fs/promises';
import { PerennialError, messageOf, errorCodeOf } from '../../contracts/errors.js';
import { decodePixels, pixelBytes, setThreadsPerImage } from '../images/decode.js';
import type { ImageFile } from '../jobs.js';

// Many are decoded at once.
setThreadsPerImage(1);

/** Images were checked at ingestion, by the rules of that time: none is refused here for its size or as partial. */
const limits = { maxPixels: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER, minSide: 1 };

export interface PixelBatch {
  images: ImageFile[];
  /** RGB 0–255, image after image, `pixelBytes` each. */
  pixels: Uint8Array;
}

/** Decodes images batch by batch. The next batch is decoded while the caller works on the current one. */
export async function* decodeBatches(images: readonly ImageFile[], batchSize: number): AsyncGenerator<PixelBatch> {
  let next = decodeBatch(images.slice(0, batchSize));
  for (let from = 0; from < images.length; from += batchSize) {
    const batch = await next;
    next = decodeBatch(images.slice(from + batchSize, from + 2 * batchSize));
    // A caller that stops early never awaits this promise: its rejection must not end the process.
    next.catch(() => undefined);
    yield batch;
  }
}

async function decodeBatch(images: ImageFile[]): Promise<PixelBatch> {
  const pixels = new Uint8Array(images.length * pixelBytes);
  await Promise.all(
    images.map(async (image, index) => {
      pixels.set(await decodeFile(image), index * pixelBytes);
    }),
  );
  return { images, pixels };
}

/** The pixels of an image file. Throws the decoder's error with the name of the image. */
export async function decodeFile({ sha256, path }: ImageFile): Promise<Uint8Array> {
  try {
    return await decodePixels(await readFile(path), limits, { acceptsPartial: true });
  } catch (error) {
    throw new PerennialError(errorCodeOf(error), `Image ${sha256}: ${messageOf(error)}`, { cause: error });
  }
}

import { open, rm } from 'node:fs/promises';
import { decodeBatches } from '../features/decode-batches.js';
import { pixelBytes } from '../images/decode.js';
import type { ImageFile } from '../jobs.js';

const imagesAtOnce = 16;

/** Decoded images in one flat file: memory holds only the batch that is being trained on. */
export interface PixelStore {
  /** Pixels of the rows, RGB 0–255, image after image. */
  read(rows: readonly number[]): Promise<Uint8Array>;
  /** Closes and deletes the file. */
  dispose(): Promise<void>;
}

/** Decodes every image once, in order, into the file at `path`; the row of an image is its position. */
export async function createPixelStore(path: string, images: readonly ImageFile[]): Promise<PixelStore> {
  const file = await open(path, 'w+');
  const dispose = async (): Promise<void> => {
    await file.close();
    await rm(path, { force: true });
  };
  try {
    let offset = 0;
    for await (const { pixels } of decodeBatches(images, imagesAtOnce)) {
      await file.write(pixels, 0, pixels.length, offset);
      offset += pixels.length;
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    async read(rows) {
      const pixels = new Uint8Array(rows.length * pixelBytes);
      await Promise.all(
        rows.map(async (row, index) => {
          const { bytesRead } = await file.read(pixels, index * pixelBytes, pixelBytes, row * pixelBytes);
          if (bytesRead !== pixelBytes) throw new Error(`The pixels of row ${row} are not in ${path}.`);
        }),
      );
      return pixels;
    },
    dispose,
  };
}
